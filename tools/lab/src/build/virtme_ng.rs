// SPDX-License-Identifier: GPL-2.0
//! virtme-ng, which boots kernels on the root's own files: from PyPI, for Debian 13's is too old
//! for a stock kernel.

use crate::steps::Steps;
use crate::vm::VIRTME_RUN;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// The version that was tried with the stock kernel.
const PINNED: &str = "virtme-ng==1.42";
/// Where it goes in the root.
const FOLDER: &str = "/opt/virtme-ng";

/// Installs virtme-ng into the root.
pub fn virtme_ng(steps: &Steps) -> Result<()> {
    let inputs = super::root_inputs()?.text(PINNED);
    steps.step(
        "installing virtme-ng",
        &inputs,
        &[Path::new(VIRTME_RUN)],
        |log| {
            log.run(Command::new("python3").args(["-m", "venv", "--clear", FOLDER]))?;
            let mut pip = Command::new(Path::new(FOLDER).join("bin/pip"));
            pip.args([
                "install",
                "--no-cache-dir",
                "--disable-pip-version-check",
                PINNED,
            ]);
            log.run(&mut pip)
                .context("is the Python package index reachable?")
        },
    )
}
