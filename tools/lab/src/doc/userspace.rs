// SPDX-License-Identifier: GPL-2.0
//! Documentation of the programs and their libraries, by cargo.

use super::folder;
use crate::project::Project;
use crate::steps::Log;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

/// Where programs run; cargo makes a folder of this name.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Documents the workspace's crates, private items too: most are programs. A broken link is an
/// error.
pub fn build(log: &mut Log, project: &Project) -> Result<()> {
    let cache = folder(project, ".cargo");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(project.root());
    cargo.env("RUSTDOCFLAGS", "-Dwarnings");
    cargo.args([
        "doc",
        "--quiet",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    cargo.args(["--target", TARGET, "--target-dir"]).arg(&cache);
    log.run(&mut cargo)
        .context("a warning of rustdoc is an error")?;
    let shown = folder(project, "userspace");
    if fs::symlink_metadata(&shown).is_err() {
        symlink(format!(".cargo/{TARGET}/doc"), &shown)?;
    }
    Ok(())
}
