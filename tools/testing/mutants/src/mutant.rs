// SPDX-License-Identifier: GPL-2.0

//! The mutants: what is replaced by what.

use anyhow::{ensure, Context, Result};
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// A mistake.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// What it is called.
    pub name: String,
    /// Whether it matters only where two actors do something at the same time.
    #[serde(default)]
    pub race: bool,
    /// The file, relative to the checkout.
    pub file: String,
    /// What stands there exactly once.
    old: String,
    /// What takes its place.
    new: String,
    /// Another place of the file, if there is one: old and new.
    also: Option<(String, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    mutant: Vec<Mutant>,
}

/// All mutants.
pub fn all() -> Result<Vec<Mutant>> {
    let table: Table = toml::from_str(include_str!("../mutants.toml"))?;
    Ok(table.mutant)
}

impl Mutant {
    /// Returns the text of its file in the checkout `root`, with the mistake.
    ///
    /// # Errors
    ///
    /// When what it replaces does not stand there, or more than once.
    pub fn text(&self, root: &Path) -> Result<String> {
        let mut text = fs::read_to_string(root.join(&self.file))
            .with_context(|| format!("{}: cannot read {}", self.name, self.file))?;
        let also = self.also.iter().map(|(old, new)| (old, new));
        for (old, new) in also.chain([(&self.old, &self.new)]) {
            let times = text.matches(old).count();
            ensure!(
                times == 1,
                "{}: what it replaces stands {times} times in {}: {old}",
                self.name,
                self.file
            );
            text = text.replace(old, new);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_mutant_applies() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let mutants = all().expect("the table is well-formed");
        let names: BTreeSet<_> = mutants.iter().map(|mutant| &mutant.name).collect();
        assert_eq!(names.len(), mutants.len(), "names are unique");
        let lost: Vec<_> = mutants.iter().filter_map(|m| m.text(&root).err()).collect();
        assert!(lost.is_empty(), "{lost:#?}");
    }
}
