// SPDX-License-Identifier: GPL-2.0
//! Kernel versions: `7.3.4+deb13-amd64` names a build, `7.3.4` its source, `7.3` its series.

use anyhow::{bail, Result};
use std::fmt;

/// The version of a kernel's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceVersion {
    version: u32,
    patchlevel: u32,
    sublevel: u32,
}

impl SourceVersion {
    /// Returns the source version in a kernel's release string.
    pub fn of_release(release: &str) -> Result<Self> {
        let end = release
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(release.len());
        let mut numbers = release[..end].split('.').map(str::parse);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(version)), Some(Ok(patchlevel)), sublevel) => Ok(Self {
                version,
                patchlevel,
                sublevel: sublevel.and_then(Result::ok).unwrap_or(0),
            }),
            _ => bail!("`{release}` is not a kernel version: give the output of `uname -r`"),
        }
    }

    /// Returns the version that a source's top Makefile states.
    pub fn of_makefile(text: &str) -> Option<Self> {
        let number = |name: &str| {
            let value = text.lines().find_map(|line| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == name).then(|| value.trim())
            });
            value?.parse().ok()
        };
        Some(Self {
            version: number("VERSION")?,
            patchlevel: number("PATCHLEVEL")?,
            sublevel: number("SUBLEVEL")?,
        })
    }

    /// Returns the series, as in the name `linux-source-7.3`.
    pub fn series(&self) -> String {
        format!("{}.{}", self.version, self.patchlevel)
    }
}

impl fmt::Display for SourceVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}.{}.{}",
            self.version, self.patchlevel, self.sublevel
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_and_makefile_agree() {
        let release = SourceVersion::of_release("7.3.4+deb13-amd64").unwrap();
        let makefile = "# SPDX\nVERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n";
        assert_eq!(SourceVersion::of_makefile(makefile), Some(release));
        assert_eq!(release.series(), "7.3");
        assert_eq!(release.to_string(), "7.3.4");
    }

    #[test]
    fn missing_sublevel_is_zero() {
        let first = SourceVersion::of_release("7.4-amd64").unwrap();
        assert_eq!(first.to_string(), "7.4.0");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "latest", "7", "-amd64"] {
            assert!(SourceVersion::of_release(text).is_err(), "{text}");
        }
        assert_eq!(SourceVersion::of_makefile("all:\n"), None);
    }
}
