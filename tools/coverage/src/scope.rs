// SPDX-License-Identifier: GPL-2.0

//! What is reported of the kernel: `tools/lab/coverage.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::function::Group;

/// Files and functions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    file: Vec<ScopeFile>,
}

/// One file of the kernel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeFile {
    /// Its path in the kernel's source.
    pub path: String,
    #[serde(default)]
    seed: Vec<String>,
    #[serde(default)]
    called: Vec<String>,
    #[serde(default)]
    entry: BTreeMap<String, String>,
}

impl Scope {
    /// The files that are compiled to count.
    pub fn files(&self) -> Vec<String> {
        self.file.iter().map(|file| file.path.clone()).collect()
    }

    /// Each function: its file, its group, its name, and what the compiler calls it.
    pub fn functions(&self) -> impl Iterator<Item = (&str, Group, &str, &str)> {
        self.file.iter().flat_map(|file| {
            let seed = file.seed.iter().map(|name| (Group::Seed, name.as_str()));
            let called = file.called.iter();
            let called = called.map(|name| (Group::Called, name.as_str()));
            seed.chain(called).map(|(group, name)| {
                let entry = file.entry.get(name).map_or(name, String::as_str);
                (file.path.as_str(), group, name, entry)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_file_names_the_six_functions_each_once() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab");
        let text = std::fs::read_to_string(root.join("coverage.toml")).unwrap();
        let scope: Scope = toml::from_str(&text).unwrap();
        let seed: Vec<_> = scope
            .functions()
            .filter(|(_, group, ..)| *group == Group::Seed)
            .map(|(_, _, name, _)| name)
            .collect();
        assert_eq!(seed.len(), 6, "{seed:?}");
        let mut all: Vec<_> = scope.functions().map(|(_, _, name, _)| name).collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "a function is named twice");
        assert!(scope
            .functions()
            .any(|function| function.2 == "mmap_pgoff" && function.3 == "__ia32_sys_mmap_pgoff"));
    }
}
