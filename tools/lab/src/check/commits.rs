// SPDX-License-Identifier: GPL-2.0
//! The kernel's own style checker, on commits that can still be changed: those not upstream yet.

use super::checkpatch;
use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;
use std::process::Command;

/// Where changes go to.
const UPSTREAM: &str = "origin/main";

/// Messages and differences of `origin/main..HEAD`.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let range = format!("{UPSTREAM}..HEAD");
    let list = lab.capture("commits", git().args(["rev-list", "--reverse", &range]))?;
    if !list.success {
        let why = format!("there is no branch {UPSTREAM} to compare with");
        return Ok(Verdict::Skipped(why));
    }
    if list.text.trim().is_empty() {
        return Ok(Verdict::Skipped(format!("all commits are in {UPSTREAM}")));
    }
    let mut perl = checkpatch::command(lab, checkpatch::IN_TEXTS)?;
    perl.env("GIT_CONFIG_COUNT", "1");
    perl.env("GIT_CONFIG_KEY_0", "safe.directory");
    perl.env("GIT_CONFIG_VALUE_0", "*");
    perl.arg("--git").arg(range);
    Ok(lab.capture("commits", &mut perl)?.verdict())
}

/// Git, for a checkout whose owner is another user than the root's.
fn git() -> Command {
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*"]);
    git
}
