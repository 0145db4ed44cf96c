// SPDX-License-Identifier: GPL-2.0
//! All Rust code is as rustfmt writes it, in the kernel and in userspace.

use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;
use std::process::Command;

/// All Rust files: `.rustfmt.toml` holds for each of them.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--edition", "2021"]);
    rustfmt.args(
        lab.those(|file| file.is("rs"))
            .iter()
            .map(|file| &file.path),
    );
    Ok(lab.capture("rustfmt", &mut rustfmt)?.verdict())
}
