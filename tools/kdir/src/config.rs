// SPDX-License-Identifier: GPL-2.0
//! A kernel's `.config`: reads it and compares two.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The options of a kernel; an unset one has the value `n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    options: BTreeMap<String, String>,
}

/// Options that distributions strip from the config they ship, and values for them, none of which
/// affects an interface. Modules cannot be signed with a key that nobody has.
pub const STRIPPED: &[(&str, &str)] = &[
    ("CONFIG_BUILD_SALT", "\"\""),
    ("CONFIG_MODULE_SIG_ALL", "n"),
    ("CONFIG_MODULE_SIG_KEY", "\"\""),
    ("CONFIG_SYSTEM_TRUSTED_KEYS", "\"\""),
];

/// Options of the vDSO that arm64 has for 32-bit programs. It wants a compiler of its own, and no
/// module sees it.
pub const COMPAT_VDSO: &[&str] = &["CONFIG_COMPAT_VDSO", "CONFIG_THUMB2_COMPAT_VDSO"];

impl Config {
    /// Reads the file `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the kernel's config {}", path.display()))?;
        Ok(Self::parse(&text))
    }

    /// Reads the text of a `.config`.
    pub fn parse(text: &str) -> Self {
        let option = |line: &str| {
            let line = line.trim();
            if let Some(name) = line
                .strip_prefix("# ")
                .and_then(|l| l.strip_suffix(" is not set"))
            {
                return Some((name.to_owned(), "n".to_owned()));
            }
            let (name, value) = line.split_once('=')?;
            name.starts_with("CONFIG_")
                .then(|| (name.to_owned(), value.to_owned()))
        };
        Self {
            options: text.lines().filter_map(option).collect(),
        }
    }

    /// Returns the value of the option `name`, strings without their quotes.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(|value| value.trim_matches('"'))
    }

    /// Returns whether the option is built in.
    pub fn is_y(&self, name: &str) -> bool {
        self.get(name) == Some("y")
    }

    /// Returns the text of a `.config` with these options, including the stripped ones.
    pub fn text(&self) -> String {
        let absent = |name: &str| !self.options.contains_key(name);
        let stripped = STRIPPED.iter().filter(|(name, _)| absent(name)).copied();
        let own = self
            .options
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let line = |(name, value)| match value {
            "n" => format!("# {name} is not set\n"),
            value => format!("{name}={value}\n"),
        };
        own.chain(stripped).map(line).collect()
    }

    /// Returns the differences to `other`, as `NAME: here -> there`, except for options that do not
    /// matter to a module.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names: std::collections::BTreeSet<_> =
            self.options.keys().chain(other.options.keys()).collect();
        let value = |config: &Self, name: &str| {
            // Not mentioned (its dependencies are off) and not set are the same.
            config
                .options
                .get(name)
                .cloned()
                .unwrap_or_else(|| "n".to_owned())
        };
        names
            .into_iter()
            .filter(|name| STRIPPED.iter().all(|(stripped, _)| stripped != name))
            .filter(|name| !COMPAT_VDSO.contains(&name.as_str()))
            .filter(|name| value(self, name) != value(other, name))
            .map(|name| format!("{name}: {} -> {}", value(self, name), value(other, name)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "#\n# Automatically generated\n#\nCONFIG_RUST=y\n# CONFIG_KUNIT is not set\n\
                        CONFIG_CC_VERSION_TEXT=\"gcc-14 (Debian 14.2.0-19) 14.2.0\"\n";

    #[test]
    fn values_are_read() {
        let config = Config::parse(TEXT);
        assert!(config.is_y("CONFIG_RUST"));
        assert_eq!(config.get("CONFIG_KUNIT"), Some("n"));
        assert_eq!(
            config.get("CONFIG_CC_VERSION_TEXT"),
            Some("gcc-14 (Debian 14.2.0-19) 14.2.0")
        );
        assert_eq!(config.get("CONFIG_NONE"), None);
    }

    #[test]
    fn written_text_reads_back_with_stripped_options() {
        let config = Config::parse(TEXT);
        let written = Config::parse(&config.text());
        assert_eq!(config.differences(&written), [""; 0]);
        assert_eq!(written.get("CONFIG_MODULE_SIG_ALL"), Some("n"));
    }

    #[test]
    fn lost_option_is_a_difference_and_unset_is_none() {
        let config = Config::parse(TEXT);
        let other = Config::parse("# CONFIG_RUST is not set\nCONFIG_BUILD_SALT=\"x\"\n");
        let found = config.differences(&other);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.contains(&"CONFIG_RUST: y -> n".to_owned()));
    }
}
