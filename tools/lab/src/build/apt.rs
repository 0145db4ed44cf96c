// SPDX-License-Identifier: GPL-2.0
//! Debian's archive, by the root's own apt.

use crate::project;
use crate::steps::{command, Log, Steps};
use crate::vm::Kernel;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Returns the names of all packages that begin with `prefix`.
pub fn names(log: &mut Log, prefix: &str) -> Result<Vec<String>> {
    let text = log.output(apt("apt-cache").arg("pkgnames").arg(prefix))?;
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
        log.run(apt("apt-get -q").arg("update"))?;
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
    let mut apt = apt("apt-get -q");
    log.run(apt.arg("download").args(packages).current_dir(folder))
}

/// The lists of packages of arm64, apart from the root's own.
const ARM64_LISTS: &str = "/var/lib/apt/arm64-lists";

/// Returns a command of apt for packages of the architecture that the kernel has.
fn apt(words: &str) -> Command {
    let mut apt = command(words);
    apt.args(["-o", "APT::Sandbox::User=root"]);
    if project::arm64().is_some() {
        apt.args(["-o", "APT::Architecture=arm64"]);
        apt.args(["-o", "APT::Architectures=arm64"]);
        apt.args(["-o", &format!("Dir::State::Lists={ARM64_LISTS}")]);
        // The cached list of packages is that of the root's architecture.
        apt.args(["-o", "Dir::Cache::pkgcache="]);
    }
    apt
}

/// Fetches the lists of packages of arm64.
pub fn arm64_lists(log: &mut Log) -> Result<()> {
    fs::create_dir_all(Path::new(ARM64_LISTS).join("partial"))?;
    log.run(apt("apt-get -q").arg("update"))
}

/// Installs packages in the root.
pub fn install(log: &mut Log, packages: &str) -> Result<()> {
    let install = format!("apt-get -q -y --no-install-recommends install {packages}");
    if log.run(&mut command(&install)).is_err() {
        log.run(&mut command("apt-get -q update"))?;
        log.run(&mut command(&install))
            .with_context(|| format!("cannot install {packages}: is the network up?"))?;
    }
    Ok(())
}

/// Returns the version of a package that apt would install.
pub fn version(log: &mut Log, package: &str) -> Result<String> {
    let mut show = apt("apt-cache");
    let text = log.output(show.args(["show", "--no-all-versions", package]))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Version: "));
    Ok(line
        .with_context(|| format!("Debian has no package {package}"))?
        .to_owned())
}

/// The program of the package virtiofsd.
const VIRTIOFSD: &str = "/usr/libexec/virtiofsd";

/// Installs what serves files to the guests of `kernel`, if that needs anything but QEMU.
pub fn virtiofsd(steps: &Steps, kernel: &Kernel) -> Result<()> {
    if !kernel.virtiofs {
        return Ok(());
    }
    let inputs = super::root_inputs()?;
    let output = [Path::new(VIRTIOFSD)];
    steps.step("installing virtiofsd", &inputs, &output, |log| {
        install(log, "virtiofsd")
    })
}
