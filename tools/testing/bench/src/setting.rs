// SPDX-License-Identifier: GPL-2.0

//! System settings that an object needs, restored afterwards.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A changed file of `/sys` or `/proc/sys`, restored on drop.
#[derive(Debug)]
pub struct Setting {
    path: PathBuf,
    before: String,
}

impl Setting {
    /// Writes `value` into the file `path`.
    pub fn set(path: impl AsRef<Path>, value: &str) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        fs::write(&path, value).with_context(|| {
            format!(
                "{} cannot be set to {value}: run it as root",
                path.display()
            )
        })?;
        let before = chosen(&text).to_owned();
        Ok(Self { path, before })
    }

    /// Returns its current value.
    pub fn value(&self) -> Result<String> {
        Ok(chosen(&fs::read_to_string(&self.path)?).to_owned())
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, &self.before) {
            eprintln!(
                "rmmap: cannot restore {} to {}: {error}",
                self.path.display(),
                self.before
            );
        }
    }
}

/// Returns the value in the text of such a file: all of it, or the value in brackets of a list.
fn chosen(text: &str) -> &str {
    let inside = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or(text.trim(), |(chosen, _)| chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_one_chosen() {
        assert_eq!(chosen("always [madvise] never\n"), "madvise");
        assert_eq!(chosen("512\n"), "512");
    }

    #[test]
    fn what_was_before_comes_back() {
        let path = std::env::temp_dir().join(format!("rmmap-setting-{}", std::process::id()));
        fs::write(&path, "7\n").unwrap();
        let setting = Setting::set(&path, "9").unwrap();
        assert_eq!(setting.value().unwrap(), "9");
        drop(setting);
        assert_eq!(fs::read_to_string(&path).unwrap(), "7");
        fs::remove_file(path).unwrap();
    }
}
