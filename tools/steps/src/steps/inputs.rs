// SPDX-License-Identifier: GPL-2.0
//! The inputs of a step, as one hash.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use walkdir::WalkDir;

/// The collected inputs of a step.
#[derive(Clone, Default)]
pub struct Inputs(Sha256);

impl Inputs {
    /// Makes an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text.
    pub fn text(mut self, text: &str) -> Self {
        // With its length, so that "ab" + "c" is not "a" + "bc".
        self.0.update(text.len().to_le_bytes());
        self.0.update(text);
        self
    }

    /// Adds the contents of a file.
    pub fn file(mut self, path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.0.update(bytes.len().to_le_bytes());
        self.0.update(bytes);
        Ok(self)
    }

    /// Adds names and contents of all files below a folder.
    pub fn tree(mut self, folder: &Path) -> Result<Self> {
        for entry in WalkDir::new(folder).sort_by_file_name() {
            let entry = entry?;
            if entry.file_type().is_file() {
                let name = entry.path().strip_prefix(folder).unwrap_or(entry.path());
                self = self.text(&name.to_string_lossy()).file(entry.path())?;
            }
        }
        Ok(self)
    }

    /// Returns the hash of all inputs, in hexadecimal.
    pub fn digest(&self) -> String {
        self.0
            .clone()
            .finalize()
            .iter()
            .fold(String::new(), |mut text, byte| {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_do_not_run_together() {
        let one = Inputs::new().text("ab").text("c").digest();
        let other = Inputs::new().text("a").text("bc").digest();
        assert_ne!(one, other);
    }

    #[test]
    fn tree_depends_on_names_and_contents() {
        let dir = tempfile::tempdir().unwrap();
        let digest = || Inputs::new().tree(dir.path()).unwrap().digest();
        fs::write(dir.path().join("a"), "1").unwrap();
        let first = digest();
        fs::write(dir.path().join("a"), "2").unwrap();
        let second = digest();
        fs::rename(dir.path().join("a"), dir.path().join("b")).unwrap();
        let third = digest();
        assert!(first != second && second != third);
    }
}
