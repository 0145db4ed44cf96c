// SPDX-License-Identifier: GPL-2.0
//! Checks that there are no cycles among the folders of the library or the files of the driver.

use super::lab::Lab;
use super::Found;
use anyhow::{anyhow, Result};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};

/// The crates, the module that contains their parts, and two parts that may use each other.
const CRATES: [(&str, &str, [&str; 2]); 2] = [
    ("rust/kernel_mm", "mm", ["", ""]),
    ("rust/rmmap", "", ["device", "region"]),
];

/// The parts that each part uses. A part is a file at the top of the crate, with its folder.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// Checks both crates.
pub fn check(lab: &Lab<'_>) -> Result<Found> {
    let mut complaints = Vec::new();
    for (folder, module, pair) in CRATES {
        let mut uses = Uses::new();
        for file in lab.those(|file| file.is("rs") && file.below(folder)) {
            let path = file.path.strip_prefix(folder)?.with_extension("");
            let part = path.iter().next().unwrap_or_default().to_string_lossy();
            let names = uses.entry(part.into_owned()).or_default();
            let code = file.text.parse::<TokenStream>();
            let code = code.map_err(|error| anyhow!("{}: {error}", file.path.display()))?;
            let code: Vec<_> = code.into_iter().collect();
            find(&code, "crate", module, names);
            if path.iter().count() == 1 {
                find(&code, "super", module, names);
            }
        }
        let circle = circle(uses, pair);
        if !circle.is_empty() {
            complaints.push(format!("{folder}: a circle among {}", circle.join(", ")));
        }
    }
    Ok(Found::Complaints(complaints))
}

/// Adds the first names of all paths that begin with `start`.
fn find(code: &[TokenTree], start: &str, module: &str, names: &mut BTreeSet<String>) {
    for (at, token) in code.iter().enumerate() {
        match token {
            TokenTree::Ident(name) if name == start => first(&code[at + 1..], module, names),
            TokenTree::Group(group) => {
                find(
                    &group.stream().into_iter().collect::<Vec<_>>(),
                    start,
                    module,
                    names,
                );
            }
            _ => {}
        }
    }
}

/// Adds the names at the beginning of a path, or after `module` in it.
fn first(path: &[TokenTree], module: &str, names: &mut BTreeSet<String>) {
    let is = |mark, token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == mark);
    let colons = path.iter().take_while(|token| is(':', token)).count();
    match path.get(colons) {
        Some(TokenTree::Ident(name)) if name == module => {
            first(&path[colons + 1..], module, names);
        }
        Some(TokenTree::Ident(name)) if colons != 0 => {
            names.insert(name.to_string());
        }
        Some(TokenTree::Group(group)) if colons != 0 => {
            let group: Vec<_> = group.stream().into_iter().collect();
            for part in group.split(|token| is(',', token)) {
                let mut path = path[..colons].to_vec();
                path.extend_from_slice(part);
                first(&path, module, names);
            }
        }
        _ => {}
    }
}

/// Returns the parts that remain after repeatedly removing those that use none of the others.
fn circle(mut uses: Uses, [a, b]: [&str; 2]) -> Vec<String> {
    let is_allowed =
        |from: &str, to: &str| from == to || (from, to) == (a, b) || (from, to) == (b, a);
    loop {
        let left: BTreeSet<_> = uses.keys().cloned().collect();
        uses.retain(|part, used| {
            used.iter()
                .any(|to| left.contains(to) && !is_allowed(part, to))
        });
        if uses.len() == left.len() {
            return left.into_iter().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_all_forms_of_a_path() {
        let code =
            "use crate::{mm::{a::x, b::{self, y}}, c};\n/// crate::no\npub(crate) fn f() {\n    \
                    crate::mm::d::z(super::e::g);\n}\n";
        let code: Vec<_> = code.parse::<TokenStream>().unwrap().into_iter().collect();
        let mut names = BTreeSet::new();
        find(&code, "crate", "mm", &mut names);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_circle_is_found_and_a_line_is_none() {
        let uses = |pairs: &[(&str, &str)]| {
            let mut uses = Uses::new();
            for (from, to) in pairs {
                uses.entry((*from).into()).or_default().insert((*to).into());
                uses.entry((*to).into()).or_default();
            }
            uses
        };
        let line = [
            ("a", "b"),
            ("b", "c"),
            ("a", "c"),
            ("c", "c"),
            ("c", "kernel"),
        ];
        assert!(circle(uses(&line), ["", ""]).is_empty());
        let round = [("a", "b"), ("b", "c"), ("c", "b")];
        assert_eq!(circle(uses(&round), ["", ""]), ["a", "b", "c"]);
        assert!(circle(uses(&round), ["c", "b"]).is_empty());
    }
}
