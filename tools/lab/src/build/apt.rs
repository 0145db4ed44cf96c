// SPDX-License-Identifier: GPL-2.0
//! Debian's archive, by the root's own apt.

use crate::steps::{command, Log};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Returns the names of all packages that begin with `prefix`.
pub fn names(log: &mut Log, prefix: &str) -> Result<Vec<String>> {
    let text = log.output(command("apt-cache pkgnames").arg(prefix))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Downloads packages (`name` or `name=version`) and unpacks them into `target`.
///
/// The lists are as old as the root: if the archive has changed since, it fetches them again.
pub fn unpack(log: &mut Log, packages: &[String], target: &Path) -> Result<()> {
    let debs = target.with_extension("debs");
    fs::create_dir_all(&debs)?;
    if download(log, packages, &debs).is_err() {
        // Without a network this only warns, and the download fails.
        log.run(&mut command("apt-get -q update"))?;
        download(log, packages, &debs)
            .context("cannot download packages from Debian's archive: is the network up?")?;
    }
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(&debs)? {
        log.run(command("dpkg-deb -x").arg(entry?.path()).arg(target))?;
    }
    fs::remove_dir_all(debs)?;
    Ok(())
}

fn download(log: &mut Log, packages: &[String], folder: &Path) -> Result<()> {
    // As root, because apt's own user has no access to the folder.
    let mut apt = command("apt-get -q -o APT::Sandbox::User=root download");
    log.run(apt.args(packages).current_dir(folder))
}

/// Returns the version of a package that apt would install.
pub fn version(log: &mut Log, package: &str) -> Result<String> {
    let text = log.output(command("apt-cache show --no-all-versions").arg(package))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Version: "));
    Ok(line
        .with_context(|| format!("Debian has no package {package}"))?
        .to_owned())
}
