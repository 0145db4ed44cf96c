// SPDX-License-Identifier: GPL-2.0
//! Clippy on everything that runs in userspace, tests included.

use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;
use std::process::Command;

/// The whole workspace, for the target that it is built for.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let mut cargo = Command::new("cargo");
    cargo.args(["clippy", "--quiet", "--workspace", "--all-targets"]);
    cargo.args(["--target", "x86_64-unknown-linux-gnu", "--", "-Dwarnings"]);
    Ok(lab.capture("clippy", &mut cargo)?.verdict())
}
