// SPDX-License-Identifier: GPL-2.0
//! Phrases that no file may contain, and the parts that each file must have.

use super::lab::{Lab, SourceFile};
use super::Found;
use anyhow::Result;

/// The text of the licence, and files of cargo and dpkg, which have no place for it.
const WITHOUT: &[&str] = &["LICENSE", "Cargo.lock", "changelog"];

fn is_ours(file: &SourceFile) -> bool {
    !WITHOUT.contains(&file.name())
}

/// The mark of the line with the licence; cut in two, or this file would have it twice.
const MARK: &str = concat!("SPDX", "-License-Identifier: ");

/// Checks that each file names its licence at its top, where tools and people look for it: in the
/// first line, or after the name of an interpreter.
pub fn spdx(lab: &Lab<'_>) -> Result<Found> {
    let without = lab.those(|file| is_ours(file) && !has_mark(&file.text));
    let complaint =
        |file: &&SourceFile| format!("{}: no {MARK}line at its top", file.path.display());
    Ok(Found::Complaints(without.iter().map(complaint).collect()))
}

fn has_mark(text: &str) -> bool {
    text.lines().take(2).any(|line| line.contains(MARK))
}

/// Registries, in parts, because this file is also checked.
const REGISTRIES: &[(&str, &str)] = &[
    ("debian", "org"),
    ("crates", "io"),
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("npmjs", "org"),
    ("ubuntu", "com"),
];
/// Hosts that may be linked to, with their subdomains.
const KNOWN: &[&str] = &[
    "docs.rs",
    "kernel.org",
    "rust-lang.org",
    "spdx.org",
    "www.w3.org",
    "localhost",
];

/// Checks that no file names the source of packages, which is up to the machine and its mirrors. It
/// refuses names of registries anywhere, and other hosts in addresses unless they are known places
/// to read about the kernel.
pub fn hosts(lab: &Lab<'_>) -> Result<Found> {
    let names = |line: &str| Some(format!("names the host {}", refused_host(line)?));
    Ok(complaints(&lab.those(is_ours), names))
}

/// Returns the first host in `line` that should not be named.
fn refused_host(line: &str) -> Option<String> {
    let registry = REGISTRIES
        .iter()
        .map(|(name, top)| format!("{name}.{top}"))
        .find(|host| line.contains(host.as_str()));
    let is_known = |host: &str| {
        let is_it = |known: &&str| host == *known || host.ends_with(&format!(".{known}"));
        KNOWN.iter().any(is_it)
    };
    let mut addresses = line.split("://").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-');
        let host = &rest[..end.unwrap_or(rest.len())];
        (!host.is_empty()).then_some(host)
    });
    registry.or_else(|| addresses.find(|host| !is_known(host)).map(str::to_owned))
}

/// One idea takes about 300 lines; a longer file has two.
const SOURCE: usize = 500;
/// Longer scripts belong in a language with a compiler.
const SHELL: usize = 40;

/// Checks that source files are small enough to read at once, and that shell is only glue.
pub fn size(lab: &Lab<'_>) -> Result<Found> {
    let complaint = |file: &SourceFile| {
        let limit = match () {
            _ if file.is_shell() => SHELL,
            _ if ["rs", "c", "h", "rst"].iter().any(|kind| file.is(kind)) => SOURCE,
            _ => return None,
        };
        let (path, lines) = (file.path.display(), file.text.lines().count());
        (lines > limit).then(|| format!("{path}: {lines} lines, at most {limit} are allowed"))
    };
    Ok(Found::Complaints(
        lab.files.iter().filter_map(complaint).collect(),
    ))
}

/// The pages at the top of the checkout. (Sphinx sees `Documentation/` only.)
const PAGES: &[&str] = &["README.md", "CONTRIBUTING.rst", "SECURITY.md"];

/// Checks that the files exist to which the pages at the top link.
pub fn links(lab: &Lab<'_>) -> Result<Found> {
    let mut complaints = Vec::new();
    for page in lab.those(|file| PAGES.iter().any(|page| file.path.as_os_str() == *page)) {
        let gone = |target: &&str| !lab.project.root().join(target).exists();
        let path = page.path.display();
        let gone = targets(&page.text).into_iter().filter(gone);
        complaints.extend(gone.map(|target| format!("{path}: there is no {target}")));
    }
    Ok(Found::Complaints(complaints))
}

/// Returns the link targets of `text`, except for addresses and places in the page itself. Links
/// begin in one way in Markdown, and in another one in reStructuredText.
fn targets(text: &str) -> Vec<&str> {
    let links = ["](", " <"]
        .into_iter()
        .flat_map(|begin| text.split(begin).skip(1));
    let targets = links.filter_map(|rest| rest[..rest.find([')', '>'])?].split('#').next());
    targets
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
        .collect()
}

/// Phrases that make readers stop (see `CONTRIBUTING.rst`). Name the actor instead; for places in
/// files and lists write "past" or "after".
const PHRASES: &str = "in vain|own accord|manieth|is told|are told|be told|was told|is had|be had|\
                       was had|brought|behind the end|whoever";
/// The text of the licence, and this list.
const WITHOUT_WORDS: &[&str] = &["LICENSE", "tools/lab/src/check/texts.rs"];

/// Checks that no page, message or comment has one of the phrases.
pub fn words(lab: &Lab<'_>) -> Result<Found> {
    let files = lab.those(|file| !WITHOUT_WORDS.iter().any(|path| file.below(path)));
    let says = |line: &str| Some(format!("says \"{}\"", phrase(line)?));
    Ok(complaints(&files, says))
}

/// Returns the first of the phrases in `line`, as whole words.
fn phrase(line: &str) -> Option<&'static str> {
    let lower = line.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric() && c != '_');
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let line = format!(" {} ", words.join(" "));
    let mut phrases = PHRASES.split('|');
    phrases.find(|phrase| line.contains(&format!(" {phrase} ")))
}

fn complaints(files: &[&SourceFile], find: impl Fn(&str) -> Option<String>) -> Found {
    Found::Complaints(
        files
            .iter()
            .flat_map(|file| file.complaints(&find))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_belongs_to_the_top() {
        assert!(has_mark(&format!("#!/bin/sh\n# {MARK}GPL-2.0\n")));
        assert!(!has_mark(&format!("a\nb\n# {MARK}GPL-2.0\n")));
        assert!(!has_mark(""));
    }

    #[test]
    fn registries_are_refused_without_a_scheme_too() {
        let host = ["deb.debian", "org"].join(".");
        assert!(refused_host(&format!("apt-get from {host}")).is_some());
    }

    #[test]
    fn only_known_hosts_may_be_linked_to() {
        assert_eq!(refused_host("see https://docs.kernel.org/mm/"), None);
        let other = format!("see https:{}mirror.example.net/x", "//");
        assert_eq!(refused_host(&other).as_deref(), Some("mirror.example.net"));
        let lookalike = format!("https:{}notkernel.org", "//");
        assert!(refused_host(&lookalike).is_some());
    }

    #[test]
    fn links_are_found_in_both_syntaxes() {
        let text = "[a](x/y.rst#part) and `b <z>`_, not [c](#here)";
        assert_eq!(targets(text), ["x/y.rst", "z"]);
    }

    #[test]
    fn phrases_are_whole_words_in_any_case() {
        assert_eq!(phrase("Whoever maps it"), Some("whoever"));
        assert_eq!(phrase("tried, in vain."), Some("in vain"));
        assert_eq!(phrase("in vainglory, it has been told, page_is_told"), None);
    }

    #[test]
    fn a_complaint_names_file_and_line() {
        let file = SourceFile {
            path: "a/b.rst".into(),
            text: "fine\nin vain\n".into(),
        };
        let found = file.complaints(|line| phrase(line).map(str::to_owned));
        assert_eq!(found, ["a/b.rst:2: in vain"]);
    }
}
