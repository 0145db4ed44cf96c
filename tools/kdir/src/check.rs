// SPDX-License-Identifier: GPL-2.0
//! Checks a build folder before a build, to report in one line what a build's output would bury.

use crate::config::Config;
use crate::toolchain;
use anyhow::{bail, Result};
use std::path::{Path, PathBuf};

/// The crate that every Rust module is built on.
pub const METADATA: &str = "rust/libkernel.rmeta";

/// Checks that a Rust module can be built in `kdir`.
pub fn check(kdir: &Path) -> Result<()> {
    if !kdir.join("Makefile").exists() || !kdir.join("include").is_dir() {
        bail!(
            "{} is not a kernel build folder: give KDIR=/lib/modules/VERSION/build or a folder that \
             `rmmap-kdir prepare` made",
            kdir.display()
        );
    }
    let config = config_of(kdir)?;
    if !config.is_y("CONFIG_RUST") {
        bail!(
            "the kernel of {} was built without CONFIG_RUST=y, so no Rust module can be built for it: \
             use a kernel that has it (Debian: 7.0 and later)",
            kdir.display()
        );
    }
    if !kdir.join(METADATA).exists() {
        bail!(
            "{} has no Rust metadata ({METADATA}), as the headers of many distributions: make it with \
             `rmmap-kdir prepare --kernel VERSION --out DIR` and give KDIR=DIR",
            kdir.display()
        );
    }
    toolchain::check_rustc(&config)
}

/// Returns the config of a build folder: all of it, or the part that the build reads.
fn config_of(kdir: &Path) -> Result<Config> {
    let places: [PathBuf; 2] = [kdir.join(".config"), kdir.join("include/config/auto.conf")];
    match places.iter().find(|path| path.exists()) {
        Some(path) => Config::read(path),
        None => bail!("{} is not configured: it has no .config", kdir.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(config: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("include")).unwrap();
        fs::write(dir.path().join("Makefile"), "").unwrap();
        fs::write(dir.path().join(".config"), config).unwrap();
        dir
    }

    #[test]
    fn each_usual_failure_has_its_sentence() {
        let error = check(Path::new("/wrong")).unwrap_err().to_string();
        assert!(
            error.starts_with("/wrong is not a kernel build folder"),
            "{error}"
        );

        let error = check(folder("# CONFIG_RUST is not set\n").path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("without CONFIG_RUST=y"), "{error}");

        let dir = folder("CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT=\"rustc 0\"\n");
        let error = check(dir.path()).unwrap_err().to_string();
        assert!(error.contains("no Rust metadata"), "{error}");

        fs::create_dir(dir.path().join("rust")).unwrap();
        fs::write(dir.path().join(METADATA), "").unwrap();
        let error = check(dir.path()).unwrap_err().to_string();
        assert!(error.contains("built with `rustc 0`"), "{error}");
    }
}
