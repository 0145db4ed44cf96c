// SPDX-License-Identifier: GPL-2.0
//! Shell scripts, by shellcheck.

use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;
use std::process::Command;

/// Everything that begins with the name of a shell.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let mut shellcheck = Command::new("shellcheck");
    let scripts = lab.those(|file| file.is_shell());
    shellcheck.args(scripts.iter().map(|file| &file.path));
    Ok(lab.capture("shellcheck", &mut shellcheck)?.verdict())
}
