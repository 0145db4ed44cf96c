// SPDX-License-Identifier: GPL-2.0

//! The files of this project that go upstream, as they are here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{bail, Context, Result};

use super::order::Uses;
use super::place::{Modules, KUNIT, LIBRARY, LIBRARY_DIR};
use super::rewrite::{self, Names};
use super::uses;

/// Files by name, without folder and extension.
pub type Files = BTreeMap<String, String>;

/// The files of a module of the library, by their paths below its folder: `vm.rs`, `vm/fault.rs`.
pub type Module = BTreeMap<String, String>;

/// How the library's root declares a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// `#[cfg(...)]` lines before it.
    pub attributes: Vec<String>,
    /// Whether users see it.
    pub is_public: bool,
}

/// All that goes upstream.
pub struct Ours {
    /// The library's root.
    pub root: String,
    /// How the root declares each module.
    pub declarations: BTreeMap<String, Declaration>,
    /// The modules that the root declares, each with those inside of it.
    pub library: BTreeMap<String, Module>,
    /// C wrappers, by file.
    pub helpers: Files,
    /// KUnit suites of the library: the module's root, and its files.
    pub kunit: Files,
    /// Samples.
    pub samples: Files,
}

impl Ours {
    /// Reads the checkout in `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut library = modules(&root.join(LIBRARY_DIR))?;
        let crate_root = library
            .remove(LIBRARY)
            .and_then(|mut root| root.remove(&format!("{LIBRARY}.rs")))
            .context("the library has no root")?;
        let mut helpers = files(&root.join("rust/helpers"), "c")?;
        // It only includes the others, as the tree's own does.
        helpers.remove("helpers");
        let declarations = declarations(&crate_root)?;
        let declared: Vec<_> = declarations.keys().collect();
        if declared != library.keys().collect::<Vec<_>>() {
            bail!("{LIBRARY_DIR} and its root do not have the same modules");
        }
        Ok(Self {
            root: crate_root,
            declarations,
            library,
            helpers,
            kunit: files(&root.join("rust").join(KUNIT), "rs")?,
            samples: files(&root.join("samples/rust"), "rs")?,
        })
    }

    /// What rewriting needs to know.
    pub fn names(&self) -> Result<Names> {
        let ffi = self
            .library
            .get("ffi")
            .and_then(|module| module.get("ffi.rs"))
            .context("the library has no ffi.rs")?;
        Ok(Names {
            modules: Modules::new(self.library.keys().cloned()),
            wrappers: rewrite::wrappers(ffi),
        })
    }

    /// Which of the library's modules use which.
    pub fn uses(&self) -> Result<Uses> {
        let uses = self.library.iter().map(|(name, files)| {
            let mut used = BTreeSet::new();
            for (path, source) in files {
                used.extend(self.used_by(source).with_context(|| path.clone())?);
            }
            used.remove(name);
            Ok((name.clone(), used))
        });
        uses.collect()
    }

    /// The modules that a source file of the library names.
    fn used_by(&self, source: &str) -> Result<BTreeSet<String>> {
        let imports = uses::find(source)?;
        let paths = imports.iter().flat_map(|run| run.paths.iter());
        let code = source
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default());
        let inline = code.flat_map(|line| line.match_indices("crate::").map(|(at, _)| &line[at..]));
        let module_of = |path: &str| {
            let mut names = path.split(|c: char| !c.is_alphanumeric() && c != '_');
            let is_own = names.next() == Some("crate");
            let module = names.find(|name| !name.is_empty())?;
            (is_own && self.library.contains_key(module)).then(|| module.to_owned())
        };
        let all = paths.map(String::as_str).chain(inline);
        Ok(all.filter_map(module_of).collect())
    }
}

/// The modules in the library's folder: a file, and the files of the folder beside it.
fn modules(folder: &Path) -> Result<BTreeMap<String, Module>> {
    let mut modules: BTreeMap<String, Module> = BTreeMap::new();
    for (name, text) in files(folder, "rs")? {
        let inside = folder.join(&name);
        let module = modules.entry(name.clone()).or_default();
        if inside.is_dir() {
            for (file, text) in files(&inside, "rs")? {
                module.insert(format!("{name}/{file}.rs"), text);
            }
        }
        module.insert(format!("{name}.rs"), text);
    }
    Ok(modules)
}

/// The files of a folder with this extension.
fn files(folder: &Path, extension: &str) -> Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|own| own == extension) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            files.insert(name.into_owned(), fs::read_to_string(&path)?);
        }
    }
    Ok(files)
}

/// The modules that the library's root declares. It must do nothing else: the `kernel` crate has a
/// root of its own.
fn declarations(root: &str) -> Result<BTreeMap<String, Declaration>> {
    let mut declarations = BTreeMap::new();
    let mut attributes = Vec::new();
    for line in root.lines() {
        let (is_public, rest) = match line.strip_prefix("pub ") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        if let Some(name) = rest
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        {
            let declaration = Declaration {
                attributes: std::mem::take(&mut attributes),
                is_public,
            };
            declarations.insert(name.to_owned(), declaration);
        } else if line.starts_with("#[") {
            attributes.push(line.to_owned());
        } else if !(line.is_empty()
            || line.starts_with("//")
            || line.starts_with("#![")
            || line.starts_with("const __LOG_PREFIX:"))
        {
            bail!("the root of {LIBRARY} has more than modules: `{line}`");
        }
    }
    Ok(declarations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_declares_modules() {
        let root =
            "//! Doc.\n\n#![forbid(x)]\n\npub mod a;\n#[cfg(X)]\npub mod b;\nmod c;\n\n/// P.\n\
            const __LOG_PREFIX: &[u8] = b\"k\\0\";\n";
        let found = declarations(root).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(found["b"].attributes, ["#[cfg(X)]"]);
        assert!(found["a"].is_public && !found["c"].is_public);
        assert!(declarations("pub fn f() {}\n").is_err());
    }
}
