// SPDX-License-Identifier: GPL-2.0

//! `use` declarations: read as a list of paths, and written as the kernel writes them, one name a
//! line, with a comment that keeps rustfmt from folding the lists.

use std::collections::BTreeMap;

use anyhow::{bail, Context, Result};

/// A run of `use` declarations of one visibility in a source file.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// Its lines, from 0: the first, and the one behind the last.
    pub lines: (usize, usize),
    /// `pub `, or nothing; behind the spaces that it is indented by.
    pub visibility: String,
    /// The paths, as `a::b::C`, `a::*` or `a::b as c`.
    pub paths: Vec<String>,
}

/// The runs of a source file, in its order; those that are indented otherwise or have attributes are
/// not merged with others.
pub fn find(source: &str) -> Result<Vec<Run>> {
    let lines: Vec<&str> = source.lines().collect();
    let mut runs: Vec<Run> = Vec::new();
    let mut next = 0;
    while next < lines.len() {
        let Some((visibility, _)) = declaration(lines[next]) else {
            next += 1;
            continue;
        };
        let begin = next;
        let ends = |line: &str| {
            line.split("//")
                .next()
                .is_some_and(|code| code.contains(';'))
        };
        let length = lines[begin..].iter().position(|line| ends(line));
        next = begin + 1 + length.context("a `use` has no end")?;
        let paths = read(&lines[begin..next]).with_context(|| format!("line {}", begin + 1))?;
        let has_attribute = begin > 0 && lines[begin - 1].trim_start().starts_with("#[");
        match runs.last_mut() {
            Some(last)
                if last.lines.1 == begin && last.visibility == visibility && !has_attribute =>
            {
                last.lines.1 = next;
                last.paths.extend(paths);
            }
            _ => runs.push(Run {
                lines: (begin, next),
                visibility: visibility.to_owned(),
                paths,
            }),
        }
    }
    Ok(runs)
}

/// The visibility and the rest of a line that begins a declaration.
fn declaration(line: &str) -> Option<(&str, &str)> {
    let at = line.find("use ")?;
    let (visibility, rest) = line.split_at(at);
    let is_visibility = ["", "pub ", "pub(crate) "].contains(&visibility.trim_start());
    is_visibility.then_some((visibility, &rest[4..]))
}

/// The paths in the lines of one declaration.
fn read(lines: &[&str]) -> Result<Vec<String>> {
    let code = lines.iter().map(|line| line.split("//").next());
    let text = code.flatten().collect::<Vec<_>>().join(" ");
    let (_, tree) = declaration(&text).context("not a `use`")?;
    let tree = tree.trim_end().trim_end_matches(';');
    let mut paths = Vec::new();
    flatten("", tree.trim(), &mut paths)?;
    Ok(paths)
}

fn flatten(prefix: &str, tree: &str, paths: &mut Vec<String>) -> Result<()> {
    let Some((head, list)) = tree.split_once('{') else {
        if !tree.is_empty() {
            paths.push(format!("{prefix}{tree}"));
        }
        return Ok(());
    };
    let Some(list) = list.trim_end().strip_suffix('}') else {
        bail!("`{tree}` has an odd number of braces");
    };
    let prefix = format!("{prefix}{}", head.trim());
    let mut depth = 0;
    let mut begin = 0;
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                flatten(&prefix, list[begin..at].trim(), paths)?;
                begin = at + 1;
            }
            _ => {}
        }
    }
    flatten(&prefix, list[begin..].trim(), paths)
}

/// What can follow a path.
#[derive(Debug, Default)]
struct Node {
    /// The path itself is used, too.
    itself: bool,
    next: BTreeMap<(u8, String), Node>,
}

/// The declarations of `paths`, one for each crate they begin with.
pub fn write(visibility: &str, paths: &[String]) -> String {
    let mut root = Node::default();
    for path in paths {
        let mut node = &mut root;
        let path = path.strip_suffix("::self").unwrap_or(path);
        for name in path.split("::") {
            node = node.next.entry(rank(name)).or_default();
        }
        node.itself = true;
    }
    let mut text = String::new();
    for ((_, name), node) in &root.next {
        text += &format!("{visibility}use {};\n", tree(name, node));
    }
    text
}

/// rustfmt's order: modules before types before constants.
fn rank(name: &str) -> (u8, String) {
    let class = match name.chars().next() {
        Some('*') => 3,
        Some(first) if first.is_lowercase() || first == '_' => 0,
        _ if name.len() > 1 && !name.chars().any(char::is_lowercase) => 2,
        _ => 1,
    };
    (class, name.to_owned())
}

fn tree(name: &str, node: &Node) -> String {
    let mut items: Vec<String> = Vec::new();
    if node.itself {
        items.push("self".to_owned());
    }
    items.extend(node.next.iter().map(|((_, name), node)| tree(name, node)));
    match items.as_slice() {
        [only] if node.itself && node.next.is_empty() => {
            debug_assert_eq!(only, "self");
            name.to_owned()
        }
        [only] => format!("{name}::{only}"),
        _ => format!("{name}::{{\n{}, //\n}}", items.join(",\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! Doc.\n\nuse crate::ffi;\nuse kernel::{\n    bindings,\n    sync::{\n        \
        aref::ARef,\n        Arc, //\n    },\n    rw::{self, Growth}, //\n};\n\npub use a::b as c;\n\n\
        fn f() {}\n";

    #[test]
    fn declarations_become_paths() {
        let runs = find(SOURCE).unwrap();
        let paths = [
            "crate::ffi",
            "kernel::bindings",
            "kernel::sync::aref::ARef",
            "kernel::sync::Arc",
            "kernel::rw::self",
            "kernel::rw::Growth",
        ];
        assert_eq!(runs[0].paths, paths);
        assert_eq!(runs[0].lines, (2, 11));
        assert_eq!((runs[1].visibility.as_str(), runs.len()), ("pub ", 2));
        assert_eq!(runs[1].paths, ["a::b as c"]);
    }

    #[test]
    fn paths_become_declarations() {
        let paths = [
            "crate::b::C",
            "crate::b::self",
            "crate::a::MAX",
            "crate::a::Type",
            "core::mem",
        ];
        let paths = paths.map(str::to_owned);
        assert_eq!(
            write("pub ", &paths),
            "pub use core::mem;\npub use crate::{\na::{\nType,\nMAX, //\n},\nb::{\nself,\nC, //\n}, //\n};\n"
        );
    }

    #[test]
    fn braces_must_match() {
        assert!(find("use a::{b;\n").is_err());
        assert!(find("use a\n").is_err());
    }
}
