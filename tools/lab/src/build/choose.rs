// SPDX-License-Identifier: GPL-2.0
//! The choice of the stock kernel: the newest of Debian's that can load Rust modules, or the
//! requested one.

use super::apt;
use crate::project::{wanted, Project};
use crate::steps::{Log, Steps};
use anyhow::{bail, Context, Result};
use rmmap_matrix::kernels::{newest_first, BASE, MAJOR};
use std::fs;
use std::path::{Path, PathBuf};

/// The ordinary flavour: neither `cloud-amd64` nor `rt-amd64`.
const FLAVOUR: &str = "amd64";
/// Where the choice is remembered.
const CHOSEN: &str = "kernel/chosen";
/// The label of the kernel that is taken without KERNEL.
const STOCK: &str = "stock";

/// Returns the build folder of one's own kernel, if KERNEL names one.
pub fn folder() -> Option<PathBuf> {
    let word = wanted().filter(|word| word.contains('/'));
    word.map(PathBuf::from)
}

/// Returns whether the kernel is the one that is taken without KERNEL.
pub fn is_default(project: &Project) -> bool {
    let version = wanted().unwrap_or_default();
    label(project, &version) == STOCK
}

/// Returns the name of the results for a kernel.
pub fn label(project: &Project, version: &str) -> String {
    let chosen = fs::read_to_string(project.build(CHOSEN));
    match wanted().is_none() || chosen.is_ok_and(|chosen| chosen == version) {
        true => STOCK.to_owned(),
        false => version.to_owned(),
    }
}

/// Returns the name of `step` for the kernel `label`: each kernel's result is remembered.
pub fn named(step: &str, label: &str) -> String {
    match label {
        STOCK => step.to_owned(),
        _ => format!("{step} ({label})"),
    }
}

/// Returns the kernel's version, such as `7.3.4+deb13-amd64`, and remembers it.
pub fn choose(project: &Project, steps: &Steps) -> Result<String> {
    if let Some(folder) = folder() {
        bail!(
            "KERNEL={} is a folder: with it there are `make lab`, `run`, `shell`, `vm` and `test`",
            folder.display()
        );
    }
    if let Some(version) = wanted() {
        return Ok(version);
    }
    let memory = project.build(CHOSEN);
    let inputs = super::root_inputs()?;
    steps.step("choosing a kernel", &inputs, &[&memory], |log| {
        fs::create_dir_all(project.build("kernel"))?;
        let version = newest_with_rust(log, &project.build("kernel/probe"))?;
        Ok(fs::write(&memory, version)?)
    })?;
    fs::read_to_string(&memory).with_context(|| format!("cannot read {}", memory.display()))
}

fn newest_with_rust(log: &mut Log, probe: &Path) -> Result<String> {
    let candidates = newest_first(&apt::names(log, BASE)?, FLAVOUR);
    for version in &candidates {
        if probe.exists() {
            fs::remove_dir_all(probe)?;
        }
        apt::unpack(log, &[format!("{BASE}{version}")], probe)?;
        let config = probe.join("usr/lib/modules").join(version).join("config");
        let text = fs::read_to_string(&config)
            .with_context(|| format!("{BASE}{version} has no {}", config.display()))?;
        fs::remove_dir_all(probe)?;
        if text.lines().any(|line| line == "CONFIG_RUST=y") {
            return Ok(version.clone());
        }
    }
    bail!(
        "none of Debian's {} kernels of series {MAJOR} has CONFIG_RUST=y: choose one with KERNEL=VERSION",
        candidates.len()
    );
}
