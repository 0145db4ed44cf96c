// SPDX-License-Identifier: GPL-2.0
//! The stock kernel: Debian's image and modules, its source, and a build folder with Rust metadata.

use super::apt;
use super::choose::{choose, label, named};
use crate::project::Project;
use crate::steps::{command, Inputs, Steps};
use crate::vm::Kernel;
use anyhow::{bail, Context, Result};
use rmmap_matrix::config::needs_virtiofs;
use rmmap_matrix::kernels::{ordinary, series};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An unmodified Debian kernel.
#[derive(Debug, Clone)]
pub struct Stock {
    /// Its version, as `uname -r` prints it.
    pub version: String,
    /// The name of its results: `stock`, or the version if KERNEL names another kernel.
    pub label: String,
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
    pub fn kernel(&self) -> Result<Kernel> {
        Ok(Kernel {
            image: self.image(),
            virtiofs: needs_virtiofs(&self.config, "ym")?,
            arm64: None,
            modules: Some(self.modules()),
        })
    }

    /// Returns its `lib/modules/VERSION`.
    pub fn modules(&self) -> PathBuf {
        self.files.join("usr/lib/modules").join(&self.version)
    }

    fn image(&self) -> PathBuf {
        self.modules().join("vmlinuz")
    }
}

/// Gets the kernel and makes its build folder.
pub fn stock(project: &Project, steps: &Steps) -> Result<Stock> {
    let version = choose(project, steps)?;
    let folder = |version: &str| project.build("kernel").join(version);
    let files = folder(&version).join("files");
    let owner = ordinary(&version);
    let stock = Stock {
        source: folder(&owner).join("source"),
        label: label(project, &version),
        config: files.join("usr/lib/modules").join(&version).join("config"),
        kdir: project.build("kdir").join(&version),
        files,
        version,
    };
    let inputs = Inputs::new().text(&stock.version);
    get_packages(steps, &stock, &inputs)?;
    unpack_source(project, steps, &stock, &owner)?;
    make_kdir(project, steps, &stock)?;
    Ok(stock)
}

fn get_packages(steps: &Steps, stock: &Stock, inputs: &Inputs) -> Result<()> {
    let version = &stock.version;
    let image = stock.image();
    let name = format!("downloading the kernel {version}");
    steps.step(&name, inputs, &[&image, &stock.config], |log| {
        let base = format!("linux-base-{version}");
        let Ok(package) = apt::version(log, &base) else {
            bail!("Debian's archive has no kernel {version}: choose another with KERNEL=VERSION");
        };
        let mut packages: Vec<_> = ["linux-binary", "linux-modules", "linux-headers"]
            .iter()
            .map(|part| format!("{part}-{version}={package}"))
            .collect();
        packages.push(format!("{base}={package}"));
        empty(&stock.files)?;
        apt::unpack(log, &packages, &stock.files)?;
        // For depmod and virtme-ng, which search below lib/ as well as below usr/lib/.
        symlink("usr/lib", stock.files.join("lib"))?;
        log.run(command("depmod -b").arg(&stock.files).arg(version))
    })
}

/// Gets the source of `stock` and the other flavours, next to the files of `owner`.
fn unpack_source(project: &Project, steps: &Steps, stock: &Stock, owner: &str) -> Result<()> {
    let makefile = stock.source.join("Makefile");
    let step = named("unpacking the kernel's source", &label(project, owner));
    let inputs = Inputs::new().text(owner);
    steps.step(&step, &inputs, &[&makefile], |log| {
        let name = format!("linux-source-{}", series(&stock.version)?);
        // The source must be the image's: its symbols carry the source's hashes.
        let package = apt::version(log, &format!("linux-base-{}", stock.version))?;
        let files = stock.source.with_extension("files");
        apt::unpack(log, &[format!("{name}={package}")], &files)?;
        empty(&stock.source)?;
        let mut tar = command("tar --strip-components=1 -xf");
        tar.arg(files.join(format!("usr/src/{name}.tar.xz")));
        log.run(tar.arg("-C").arg(&stock.source))?;
        Ok(fs::remove_dir_all(files)?)
    })
}

fn make_kdir(project: &Project, steps: &Steps, stock: &Stock) -> Result<()> {
    let headers = format!("usr/src/linux-headers-{}", stock.version);
    let symvers = stock.files.join(headers).join("Module.symvers");
    let inputs = super::compiler_inputs()?
        .text(&stock.version)
        .file(&symvers)?;
    let proved = stock.kdir.join("rmmap-kdir.proved");
    let step = named("compiling the kernel's Rust crates", &stock.label);
    steps.step(&step, &inputs, &[&proved], |log| {
        let mut kdir = Command::new(project.program("rmmap-kdir"));
        kdir.args(["prepare", "--kernel", &stock.version]);
        kdir.arg("--out").arg(&stock.kdir);
        kdir.arg("--source").arg(&stock.source);
        kdir.arg("--config").arg(&stock.config);
        log.run(kdir.arg("--symvers").arg(&symvers))
    })
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    Ok(fs::create_dir_all(folder)?)
}
