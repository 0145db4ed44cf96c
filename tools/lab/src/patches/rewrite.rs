// SPDX-License-Identifier: GPL-2.0

//! Source files, with their paths changed to what they are in the tree: the library's modules
//! become modules of the `kernel` crate, and C wrappers come from `bindings`.

use std::collections::BTreeMap;

use anyhow::Result;

use super::place::{self, Modules, LIBRARY, PARENT};
use super::uses;

/// Names of the C wrappers in `ffi.rs`, each with the function's name in C.
pub type Wrappers = BTreeMap<String, String>;

/// What is known of the whole library.
pub struct Names {
    /// Its modules.
    pub modules: Modules,
    /// Its C wrappers.
    pub wrappers: Wrappers,
}

impl Names {
    /// A file of the library itself, but for its root and `ffi.rs`.
    pub fn library(&self, source: &str) -> Result<String> {
        let source = self.rewrite(source, &|root, name| match root {
            "crate" if self.modules.has(name) => Some(self.in_kernel("crate", name)),
            LIBRARY if self.modules.has(name) => Some(self.in_kernel("crate", name)),
            "kernel" => Some(format!("crate::{name}")),
            _ => None,
        })?;
        self.wrappers_from_bindings(&source)
    }

    /// A file of somebody who uses the library.
    pub fn user(&self, source: &str) -> Result<String> {
        self.rewrite(source, &|root, name| {
            let ours = root == LIBRARY && self.modules.has(name);
            ours.then(|| self.in_kernel("kernel", name))
        })
    }

    /// `ffi.rs`: without the declarations of the wrappers.
    pub fn values(&self, source: &str) -> Result<String> {
        let kept = without_item(source, "macro_rules! helpers {");
        self.library(&without_item(&kept, "helpers! {"))
    }

    fn in_kernel(&self, root: &str, module: &str) -> String {
        format!("{root}::{PARENT}::{module}")
    }

    fn rewrite(&self, source: &str, map: &dyn Fn(&str, &str) -> Option<String>) -> Result<String> {
        let lines: Vec<&str> = source.lines().collect();
        let mut text = String::new();
        let mut next = 0;
        for run in uses::find(source)? {
            text += &self.rewrite_code(&lines[next..run.lines.0], map);
            let paths: Vec<_> = run.paths.iter().map(|path| rename(path, map)).collect();
            text += &uses::write(&run.visibility, &paths);
            next = run.lines.1;
        }
        Ok(text + &self.rewrite_code(&lines[next..], map))
    }

    /// Code and comments between declarations.
    fn rewrite_code(&self, lines: &[&str], map: &dyn Fn(&str, &str) -> Option<String>) -> String {
        let code = joined(lines);
        let renamed = rename(&place::rename_files(&code), map);
        replace_word(&renamed, LIBRARY, "kernel::mm")
    }

    /// Calls of wrappers through `bindings`, and imports to match.
    fn wrappers_from_bindings(&self, source: &str) -> Result<String> {
        let ffi = self.in_kernel("crate", "ffi");
        let mut text = source.to_owned();
        for (name, c) in &self.wrappers {
            text = replace_path(
                &text,
                &format!("{ffi}::{name}"),
                &format!("crate::bindings::{c}"),
            );
            text = replace_path(&text, &format!("ffi::{name}"), &format!("bindings::{c}"));
        }
        let needs = |path: &str| code_of(&text).any(|line| has_word(line, path));
        let (needs_ffi, needs_bindings) = (needs("ffi::"), needs("bindings::"));
        let mut out = String::new();
        let mut next = 0;
        let lines: Vec<&str> = text.lines().collect();
        for run in uses::find(&text)? {
            let mut paths = run.paths.clone();
            let had_ffi = paths.contains(&ffi);
            paths.retain(|path| *path != ffi || needs_ffi);
            if had_ffi && needs_bindings {
                paths.push("crate::bindings".to_owned());
            }
            out += &joined(&lines[next..run.lines.0]);
            out += &uses::write(&run.visibility, &paths);
            next = run.lines.1;
        }
        Ok(out + &joined(&lines[next..]))
    }
}

fn joined(lines: &[&str]) -> String {
    let lines = lines.iter();
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// The lines that are code, without declarations of imports.
fn code_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
}

/// The wrappers that `ffi.rs` declares: `fn "rust_helper_C" NAME(...)`.
pub fn wrappers(ffi: &str) -> Wrappers {
    let declared = ffi.lines().filter_map(|line| {
        let rest = line.trim_start().strip_prefix("fn \"rust_helper_")?;
        let (c, rest) = rest.split_once("\" ")?;
        let (name, _) = rest.split_once('(')?;
        Some((name.to_owned(), c.to_owned()))
    });
    declared.collect()
}

/// A source without the item that begins with `begin` at the left margin, as rustfmt leaves it.
fn without_item(source: &str, begin: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in source.lines() {
        inside |= line.starts_with(begin);
        if !inside {
            kept += line;
            kept.push('\n');
        }
        inside &= line != "}";
    }
    kept
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `text` has `word` with nothing of a longer word, or path, before it.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word)
        .any(|(at, _)| begins_path(text, at))
}

fn begins_path(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|c| is_word(c) || matches!(c, ':' | '$' | '"'))
}

/// Changes the first two names of each path in `text` as `map` says.
fn rename(text: &str, map: &dyn Fn(&str, &str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("::") {
        let root_at = rest[..at].rfind(|c| !is_word(c)).map_or(0, |before| {
            before + rest[before..].chars().next().map_or(1, char::len_utf8)
        });
        let after = &rest[at + 2..];
        let name = &after[..after.find(|c| !is_word(c)).unwrap_or(after.len())];
        let whole = out.clone() + &rest[..root_at];
        match map(&rest[root_at..at], name).filter(|_| begins_path(&whole, whole.len())) {
            Some(new) => out = whole + &new,
            None => out += &rest[..at + 2 + name.len()],
        }
        rest = &after[name.len()..];
    }
    out + rest
}

fn replace_path(text: &str, old: &str, new: &str) -> String {
    let mut out = String::new();
    let mut next = 0;
    for (at, _) in text.match_indices(old) {
        let end = at + old.len();
        if begins_path(text, at) && !text[end..].starts_with(is_word) {
            out += &text[next..at];
            out += new;
            next = end;
        }
    }
    out + &text[next..]
}

/// Replaces `old` where it stands alone: not as a part of a longer name, a path or a file's name.
fn replace_word(text: &str, old: &str, new: &str) -> String {
    let mut out = String::new();
    let mut next = 0;
    for (at, _) in text.match_indices(old) {
        let end = at + old.len();
        let alone = |c: char| !is_word(c) && !matches!(c, '/' | ':' | '\\');
        let before = text[..at].chars().next_back().is_none_or(alone);
        if before && text[end..].chars().next().is_none_or(alone) {
            out += &text[next..at];
            out += new;
            next = end;
        }
    }
    out + &text[next..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let ffi = "    fn \"rust_helper_folio_put\" folio_put(folio: *mut bindings::folio);\n";
        Names {
            modules: Modules::new(["ffi", "folio", "inode"].map(str::to_owned)),
            wrappers: wrappers(ffi),
        }
    }

    #[test]
    fn the_library_becomes_part_of_the_kernel_crate() {
        let source =
            "//! See [`crate::inode`] and `kernel_mm`.\n\nuse crate::ffi;\nuse kernel::{\n    \
            page::PAGE_SIZE,\n    prelude::*, //\n};\n\nfn f(a: kernel::types::A) {\n    \
            ffi::folio_put(a);\n}\n";
        let expected =
            "//! See [`crate::mm::inode`] and `kernel::mm`.\n\nuse crate::{\nbindings,\n\
            page::PAGE_SIZE,\nprelude::*, //\n};\n\nfn f(a: crate::types::A) {\n    \
            bindings::folio_put(a);\n}\n";
        assert_eq!(names().library(source).unwrap(), expected);
    }

    #[test]
    fn values_stay_where_they_are() {
        let source = "use crate::ffi;\n\nfn f() -> u32 {\n    ffi::FMODE + ffi::folio_put_all\n}\n";
        let expected =
            "use crate::mm::ffi;\n\nfn f() -> u32 {\n    ffi::FMODE + ffi::folio_put_all\n}\n";
        assert_eq!(names().library(source).unwrap(), expected);
        let ffi =
            "const A: u32 = 1;\n\nmacro_rules! helpers {\n    () => {};\n}\n\nhelpers! {\n    \
            // c\n}\n\nfn g() {}\n";
        let kept = names().values(ffi).unwrap();
        assert_eq!(kept, "const A: u32 = 1;\n\n\n\nfn g() {}\n");
    }

    #[test]
    fn users_get_one_import_of_the_kernel_crate() {
        let source = "use kernel::prelude::*;\nuse kernel_mm::{\n    folio::Folio,\n    \
            inode::Inode, //\n};\n\n// A user of `kernel_mm`.\nconst C: &str = \"kernel_mm_x\";\n\
            type T = kernel_mm::folio::Folio;\n";
        let expected =
            "use kernel::{\nmm::{\nfolio::Folio,\ninode::Inode, //\n},\nprelude::*, //\n};\n\n\
            // A user of `kernel::mm`.\nconst C: &str = \"kernel_mm_x\";\n\
            type T = kernel::mm::folio::Folio;\n";
        assert_eq!(names().user(source).unwrap(), expected);
    }

    #[test]
    fn longer_paths_stay() {
        let map = |root: &str, name: &str| (root == "a").then(|| format!("z::{name}"));
        assert_eq!(
            rename("a::b, x::a::b, a_a::b, a::b::c", &map),
            "z::b, x::a::b, a_a::b, z::b::c"
        );
        assert_eq!(
            replace_word("k, /k, k/, k_k, `k`", "k", "m"),
            "m, /k, k/, k_k, `m`"
        );
    }
}
