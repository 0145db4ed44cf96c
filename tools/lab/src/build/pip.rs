// SPDX-License-Identifier: GPL-2.0
//! Python programs from PyPI, each in a folder of its own below the root's `/opt`.

use crate::steps::{command, Steps};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// A program, its version, and its folder.
pub struct Package {
    /// Its name, for people.
    pub name: &'static str,
    /// Name and version, as pip takes them.
    pub pinned: &'static str,
    /// The folder.
    pub folder: &'static str,
    /// The program in it to run.
    pub program: &'static str,
}

/// virtme-ng, which boots kernels on the root's own files: Debian 13's is too old for a stock
/// kernel. This version was tested with one.
pub const VIRTME_NG: Package = Package {
    name: "virtme-ng",
    pinned: "virtme-ng==1.42",
    folder: "/opt/virtme-ng",
    program: crate::vm::VIRTME_RUN,
};

/// gcovr, which makes reports of gcov's counters: Debian 13 has version 1.1 of it.
pub const GCOVR: Package = Package {
    name: "gcovr",
    pinned: "gcovr==8.4",
    folder: "/opt/gcovr",
    program: "/opt/gcovr/bin/gcovr",
};

/// Installs a package into the root.
pub fn install(steps: &Steps, package: &Package) -> Result<()> {
    let inputs = super::root_inputs()?.text(package.pinned);
    let name = format!("installing {}", package.name);
    steps.step(&name, &inputs, &[Path::new(package.program)], |log| {
        log.run(command("python3 -m venv --clear").arg(package.folder))?;
        let mut pip = Command::new(Path::new(package.folder).join("bin/pip"));
        pip.args(["install", "--no-cache-dir", "--disable-pip-version-check"]);
        log.run(pip.arg(package.pinned))
            .context("cannot install from the Python package index: is the network up?")
    })
}
