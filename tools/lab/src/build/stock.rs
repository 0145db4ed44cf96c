// SPDX-License-Identifier: GPL-2.0
//! The stock kernel: Debian's image and modules, its source, and a build folder with Rust metadata.

use super::{apt, choose};
use crate::project::Project;
use crate::steps::{command, Inputs, Steps};
use crate::vm::Kernel;
use anyhow::{bail, Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An unmodified Debian kernel.
#[derive(Debug, Clone)]
pub struct Stock {
    /// Its version, as `uname -r` prints it.
    pub version: String,
    /// Its source tree, as Debian patched it; also the source of the debug kernel.
    pub source: PathBuf,
    /// Its config.
    pub config: PathBuf,
    /// The folder in which modules for it are built.
    pub kdir: PathBuf,
    /// Its unpacked packages.
    files: PathBuf,
}

impl Stock {
    /// Returns the kernel to boot.
    pub fn kernel(&self) -> Kernel {
        let modules = self.files.join("usr/lib/modules").join(&self.version);
        Kernel {
            image: modules.join("vmlinuz"),
            modules: Some(modules),
        }
    }
}

/// Gets the kernel and makes its build folder.
pub fn stock(project: &Project, steps: &Steps) -> Result<Stock> {
    let version = choose::choose(project, steps)?;
    let folder = project.build("kernel").join(&version);
    let files = folder.join("files");
    let stock = Stock {
        source: folder.join("source"),
        config: files.join("usr/lib/modules").join(&version).join("config"),
        kdir: project.build("kdir").join(&version),
        files,
        version,
    };
    let inputs = Inputs::new().text(&stock.version);
    get_packages(steps, &stock, &inputs)?;
    unpack_source(steps, &stock, &inputs)?;
    make_kdir(project, steps, &stock)?;
    Ok(stock)
}

fn get_packages(steps: &Steps, stock: &Stock, inputs: &Inputs) -> Result<()> {
    let version = &stock.version;
    let image = stock.kernel().image;
    let name = format!("downloading the kernel {version}");
    steps.step(&name, inputs, &[&image, &stock.config], |log| {
        let base = format!("linux-base-{version}");
        let Ok(package) = apt::version(log, &base) else {
            bail!("Debian's archive has no kernel {version}: choose another with KERNEL=VERSION");
        };
        let source = format!("linux-source-{}", series(version)?);
        let mut packages: Vec<_> = ["linux-binary", "linux-modules", "linux-headers"]
            .iter()
            .map(|part| format!("{part}-{version}={package}"))
            .collect();
        packages.push(format!("{base}={package}"));
        // The source must be the image's: its symbols carry the source's hashes.
        packages.push(format!("{source}={package}"));
        empty(&stock.files)?;
        apt::unpack(log, &packages, &stock.files)?;
        // For depmod and virtme-ng, which search below lib/ as well as below usr/lib/.
        symlink("usr/lib", stock.files.join("lib"))?;
        log.run(command("depmod -b").arg(&stock.files).arg(version))
    })
}

fn unpack_source(steps: &Steps, stock: &Stock, inputs: &Inputs) -> Result<()> {
    let makefile = stock.source.join("Makefile");
    let step = "unpacking the kernel's source";
    steps.step(step, inputs, &[&makefile], |log| {
        let archive = format!("usr/src/linux-source-{}.tar.xz", series(&stock.version)?);
        empty(&stock.source)?;
        let mut tar = command("tar --strip-components=1 -xf");
        tar.arg(stock.files.join(archive));
        log.run(tar.arg("-C").arg(&stock.source))
    })
}

fn make_kdir(project: &Project, steps: &Steps, stock: &Stock) -> Result<()> {
    let headers = format!("usr/src/linux-headers-{}", stock.version);
    let symvers = stock.files.join(headers).join("Module.symvers");
    let inputs = super::compiler_inputs()?
        .text(&stock.version)
        .file(&symvers)?;
    let proved = stock.kdir.join("rmmap-kdir.proved");
    let step = "compiling the kernel's Rust crates";
    steps.step(step, &inputs, &[&proved], |log| {
        let mut kdir = Command::new(project.program("rmmap-kdir"));
        kdir.args(["prepare", "--kernel", &stock.version]);
        kdir.arg("--out").arg(&stock.kdir);
        kdir.arg("--source").arg(&stock.source);
        kdir.arg("--config").arg(&stock.config);
        log.run(kdir.arg("--symvers").arg(&symvers))
    })
}

/// Returns the series in a kernel's version: `7.3` of `7.3.4+deb13-amd64`.
fn series(version: &str) -> Result<String> {
    let numbers = version.split('+').next().unwrap_or_default();
    let mut parts = numbers.split('.');
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => Ok(format!("{major}.{minor}")),
        _ => {
            bail!("`{version}` is not a kernel version: give one such as KERNEL=7.3.4+deb13-amd64")
        }
    }
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    Ok(fs::create_dir_all(folder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_version() {
        assert_eq!(series("7.3.4+deb13-amd64").unwrap(), "7.3");
        assert!(series("newest").is_err());
    }
}
