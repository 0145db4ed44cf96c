// SPDX-License-Identifier: GPL-2.0
//! Where distributions put a kernel's config, symbols and source.

use crate::version::SourceVersion;
use anyhow::{bail, Result};
use std::path::PathBuf;

/// Returns the config of the kernel `release`.
pub fn config(release: &str) -> Result<PathBuf> {
    let places = [
        format!("/usr/lib/modules/{release}/config"),
        format!("/lib/modules/{release}/config"),
        format!("/boot/config-{release}"),
    ];
    first(&places).ok_or_else(|| {
        anyhow::anyhow!(
            "no config of {release} in /usr/lib/modules or /boot: apt-get install linux-base-{release}, \
             or give --config"
        )
    })
}

/// Returns the symbols that the kernel `release` exports.
pub fn symvers(release: &str) -> Result<PathBuf> {
    let places = [
        format!("/usr/src/linux-headers-{release}/Module.symvers"),
        format!("/usr/lib/modules/{release}/build/Module.symvers"),
        format!("/lib/modules/{release}/build/Module.symvers"),
    ];
    first(&places).ok_or_else(|| {
        anyhow::anyhow!(
            "cannot find Module.symvers of {release}: apt-get install linux-headers-{release}, or give --symvers"
        )
    })
}

/// Returns the source of `version`, a tree or an archive.
pub fn source(version: SourceVersion) -> Result<PathBuf> {
    let series = version.series();
    let places: Vec<_> = ["", ".tar.xz", ".tar.zst", ".tar.gz"]
        .iter()
        .map(|suffix| format!("/usr/src/linux-source-{series}{suffix}"))
        .collect();
    match first(&places) {
        Some(path) => Ok(path),
        None => bail!(
            "cannot find the source of {version} in /usr/src: apt-get install linux-source-{series}, or give --source"
        ),
    }
}

fn first(places: &[String]) -> Option<PathBuf> {
    places.iter().map(PathBuf::from).find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let error = config("0.0.0-none").unwrap_err().to_string();
        assert!(error.contains("linux-base-0.0.0-none"), "{error}");
        let error = symvers("0.0.0-none").unwrap_err().to_string();
        assert!(error.contains("linux-headers-0.0.0-none"), "{error}");
        let version = SourceVersion::of_release("0.9.1").unwrap();
        let error = source(version).unwrap_err().to_string();
        assert!(error.contains("linux-source-0.9"), "{error}");
    }
}
