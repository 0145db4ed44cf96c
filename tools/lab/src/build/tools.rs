// SPDX-License-Identifier: GPL-2.0
//! The userspace programs, static, so that they run in any guest.

use crate::project::Project;
use crate::steps::Steps;
use anyhow::Result;
use std::process::Command;

/// Builds all of the workspace. Cargo knows what is up to date.
pub fn tools(project: &Project, steps: &Steps) -> Result<()> {
    steps.always("building the tools", |log| {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(project.root());
        cargo.args([
            "build",
            "--workspace",
            "--release",
            "--target",
            "x86_64-unknown-linux-gnu",
        ]);
        log.run(&mut cargo)
    })
}
