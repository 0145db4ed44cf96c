// SPDX-License-Identifier: GPL-2.0
//! The checkout's files: what people wrote, not what was made of it.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Folders at the top that hold what was made.
const MADE_FOLDERS: &[&str] = &[".git", "build", "target"];
/// Names of what Kbuild leaves when it builds in the checkout itself.
const MADE: &[&str] = &[".o", ".ko", ".mod", ".mod.c", ".cmd", ".rmeta", ".d"];

/// A file of the checkout.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Relative to the checkout.
    pub path: PathBuf,
    /// Its text; none for a file that is no UTF-8.
    pub text: Option<String>,
}

impl SourceFile {
    /// Whether the name ends in `.extension`.
    pub fn is(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|own| own == extension)
    }

    /// Whether the file lies in or below the folder `folder`.
    pub fn below(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// Its name without folders.
    pub fn name(&self) -> &str {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default()
    }

    /// The text, or nothing.
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Whether a shell runs it.
    pub fn is_shell(&self) -> bool {
        let first = self.text().lines().next().unwrap_or_default();
        first.starts_with("#!") && (first.ends_with("/sh") || first.ends_with("bash"))
    }

    /// Whether it is part of the kernel's build: a description for make, or C.
    pub fn is_kbuild_or_c(&self) -> bool {
        self.is("c") || self.is("h") || ["Kbuild", "Makefile"].contains(&self.name())
    }
}

/// All files of the checkout in `root`, sorted.
pub fn all(root: &Path) -> Result<Vec<SourceFile>> {
    let made = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        match entry.file_type().is_dir() {
            true => entry.depth() == 1 && MADE_FOLDERS.contains(&&*name),
            false => MADE.iter().any(|end| name.ends_with(end)),
        }
    };
    let mut files = Vec::new();
    let entries = WalkDir::new(root).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| !made(entry)) {
        let entry = entry?;
        if entry.file_type().is_file() {
            let bytes = fs::read(entry.path())
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            files.push(SourceFile {
                path: entry.path().strip_prefix(root)?.to_owned(),
                text: String::from_utf8(bytes).ok(),
            });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["build/a", "b/build/c", "b/d.o", "b/.d.o.cmd", "b/d.c", "e"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "#!/bin/sh\n").unwrap();
        }
        let files = all(dir.path()).unwrap();
        let names: Vec<_> = files
            .iter()
            .map(|file| file.path.to_str().unwrap())
            .collect();
        assert_eq!(names, ["b/build/c", "b/d.c", "e"]);
        assert!(files.iter().all(SourceFile::is_shell));
        assert!(files[0].below("b") && !files[2].below("b"));
    }
}
