// SPDX-License-Identifier: GPL-2.0
//! The C header of the ABI means what the Rust definition means, and C compilers take it.

use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;
use std::process::Command;

/// The tests of `rust/uapi`.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "--package", "rmmap-uapi"]);
    cargo.args(["--target", "x86_64-unknown-linux-gnu"]);
    Ok(lab.capture("uapi-header", &mut cargo)?.verdict())
}
