// SPDX-License-Identifier: GPL-2.0
//! `unsafe` is in the library for drivers and in the binding for programs, and nowhere else.
//!
//! The compiler enforces this if a crate has `#![forbid(unsafe_code)]`. This check requires it of
//! each crate, and checks code without a crate root, such as tests. Where unsafe code is allowed, a
//! lint requires a `SAFETY` comment for each block; this check requires the lint.

use super::lab::{Lab, SourceFile};
use super::Found;
use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The crates that may have unsafe code, by folder, with the line that enables the lint there.
const UNSAFE: &[(&str, &str, &str)] = &[
    (
        "rust/kernel_mm",
        "rust/kernel_mm/kernel_mm.rs",
        "#![forbid(clippy::undocumented_unsafe_blocks)]",
    ),
    // For all members of the workspace: the check also requires that they inherit it.
    (
        "tools/sys",
        "Cargo.toml",
        "undocumented_unsafe_blocks = \"deny\"",
    ),
];
/// The shared file of the compile-fail cases has a line that `module!` would make; it is never
/// linked.
const STAND_IN: &str = "tools/testing/compile-fail/common.rs";
const FORBID: &str = "#![forbid(unsafe_code)]";
const INHERIT: &str = "[lints]\nworkspace = true";

/// Checks all Rust code.
pub fn check(lab: &Lab<'_>) -> Result<Found> {
    let mut complaints = Vec::new();
    for (_, path, line) in UNSAFE {
        let file = lab.files.iter().find(|file| file.path.as_os_str() == *path);
        if !file.is_some_and(|file| file.text.contains(line)) {
            complaints.push(format!("{path}: `{line}` is missing"));
        }
    }
    for manifest in lab.those(|file| file.name() == "Cargo.toml" && file.path.parent().is_some()) {
        if manifest.text.contains("[package]") && !manifest.text.contains(INHERIT) {
            let path = manifest.path.display();
            complaints.push(format!("{path}: does not take the workspace's lints over"));
        }
    }
    let roots = roots(&lab.files);
    for file in lab.those(|file| file.is("rs") && !may_be_unsafe(file)) {
        let path = file.path.display();
        if roots.contains(&file.path) && !file.text.lines().any(|line| line == FORBID) {
            complaints.push(format!("{path}: the crate lacks `{FORBID}`"));
        }
        let count = unsafe_words(&file.text).with_context(|| format!("cannot read {path}"))?;
        if count > 0 {
            complaints.push(format!("{path}: {count} times `unsafe`"));
        }
    }
    Ok(Found::Complaints(complaints))
}

fn may_be_unsafe(file: &SourceFile) -> bool {
    file.path.as_os_str() == STAND_IN || UNSAFE.iter().any(|(folder, ..)| file.below(folder))
}

/// Returns the root files of all crates: those that cargo finds, and those that Kbuild names.
fn roots(files: &[SourceFile]) -> BTreeSet<PathBuf> {
    let mut roots = BTreeSet::new();
    for file in files {
        let folder = file.path.parent().unwrap_or_else(|| "".as_ref());
        match file.name() {
            "Cargo.toml" => {
                roots.insert(folder.join("src/lib.rs"));
                roots.insert(folder.join("src/main.rs"));
                let named = file
                    .text
                    .lines()
                    .filter_map(|line| line.strip_prefix("path = "));
                roots.extend(named.map(|path| folder.join(path.trim_matches('"'))));
            }
            "Kbuild" | "Makefile" => {
                let words = file
                    .text
                    .split(|c: char| c.is_whitespace() || ":)(".contains(c));
                let objects = words.filter_map(|word| word.strip_suffix(".o"));
                roots.extend(
                    objects.map(|object| {
                        folder.join(format!("{}.rs", object.trim_start_matches('/')))
                    }),
                );
            }
            _ => {}
        }
    }
    roots
}

/// Returns how often `unsafe` is a word of the code: not in a comment, a string or a longer name.
fn unsafe_words(text: &str) -> Result<usize> {
    let stream: TokenStream = text
        .parse()
        .map_err(|error| anyhow::anyhow!("no Rust: {error}"))?;
    Ok(count(stream))
}

fn count(stream: TokenStream) -> usize {
    let tokens = stream.into_iter().map(|tree| match tree {
        TokenTree::Ident(word) => usize::from(word == "unsafe"),
        TokenTree::Group(group) => count(group.stream()),
        _ => 0,
    });
    tokens.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn only_code_counts() {
        let text =
            "//! unsafe\n#![forbid(unsafe_code)]\n/// unsafe { }\nfn f() { g(\"unsafe\") }\n";
        assert_eq!(unsafe_words(text).unwrap(), 0);
        let text = "m! { unsafe extern \"C\" { fn f(); } }\nfn g() { unsafe { f() } }\n";
        assert_eq!(unsafe_words(text).unwrap(), 2);
    }

    #[test]
    fn roots_are_found_in_manifests_and_descriptions() {
        let files = [
            file("a/Cargo.toml", "[package]\n[lib]\npath = \"b.rs\"\n"),
            file(
                "Kbuild",
                "obj-m := x.o\nx-y := rust/y.o\n$(obj)/rust/z.o: q\n",
            ),
        ];
        let roots = roots(&files);
        for root in [
            "a/src/lib.rs",
            "a/src/main.rs",
            "a/b.rs",
            "x.rs",
            "rust/y.rs",
            "rust/z.rs",
        ] {
            assert!(roots.contains(&PathBuf::from(root)), "{root}");
        }
    }
}
