// SPDX-License-Identifier: GPL-2.0

//! What a kernel's configuration says to those who build for it and boot it.

use anyhow::{bail, Context, Result};
use std::fs;
use std::path::Path;

/// Returns whether the guest's root must come by virtio-fs, for a kernel with this `config`. The
/// values of an option in `usable` are good enough: `y`, or `ym` where modules can be loaded first.
pub fn needs_virtiofs(config: &Path, usable: &str) -> Result<bool> {
    let text =
        fs::read_to_string(config).with_context(|| format!("cannot read {}", config.display()))?;
    let has = |option: &str| {
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix(option)?.strip_prefix('='));
        values.any(|value| usable.contains(value))
    };
    match (has("CONFIG_9P_FS"), has("CONFIG_VIRTIO_FS")) {
        (true, _) => Ok(false),
        (false, true) => Ok(true),
        (false, false) => bail!(
            "{} has neither CONFIG_9P_FS nor CONFIG_VIRTIO_FS: a guest would have no root file system",
            config.display()
        ),
    }
}

/// Returns the words for make that the kernel's build does not remember.
pub fn make_words(config: &Path) -> Result<Vec<&'static str>> {
    let text = fs::read_to_string(config);
    let text = text.with_context(|| format!("cannot read {}", config.display()))?;
    let has = |option: &str| text.lines().any(|line| line == option);
    let mut words = Vec::new();
    if has("CONFIG_CC_IS_CLANG=y") {
        words.push("LLVM=1");
    }
    if has("CONFIG_ARM64=y") {
        words.extend(["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"]);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_comes_by_what_the_kernel_has() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join(".config");
        let needs = |text: &str, usable: &str| {
            fs::write(&config, text).unwrap();
            needs_virtiofs(&config, usable).ok()
        };
        let both = "CONFIG_9P_FS=m\nCONFIG_VIRTIO_FS=y\n";
        assert_eq!(needs(both, "ym"), Some(false));
        assert_eq!(needs(both, "y"), Some(true));
        let cloud = "# CONFIG_9P_FS is not set\nCONFIG_9P_FS_X=y\nCONFIG_VIRTIO_FS=y\n";
        assert_eq!(needs(cloud, "ym"), Some(true));
        assert_eq!(needs("CONFIG_9P_FS=m\n", "y"), None);
    }

    #[test]
    fn clang_is_asked_for_where_it_built_the_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join(".config");
        assert!(make_words(&config).is_err());
        fs::write(&config, "CONFIG_X=y\nCONFIG_CC_IS_CLANG=y\n").unwrap();
        assert_eq!(make_words(&config).unwrap(), ["LLVM=1"]);
        fs::write(&config, "CONFIG_CC_IS_GCC=y\n").unwrap();
        assert!(make_words(&config).unwrap().is_empty());
    }
}
