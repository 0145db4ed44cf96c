// SPDX-License-Identifier: GPL-2.0
//! Documentation of the programs and their libraries, by cargo.

use super::folder;
use crate::project::Project;
use crate::steps::{command, Log};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;

/// The target of programs; cargo makes a folder with this name.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Documents the workspace's crates, private items too: most are programs. A broken link is an
/// error.
pub fn build(log: &mut Log, project: &Project) -> Result<()> {
    let mut cargo = command("cargo doc --quiet --workspace --no-deps --document-private-items");
    cargo.args(["--target", TARGET]).current_dir(project.root());
    cargo.env("RUSTDOCFLAGS", "-Dwarnings");
    log.run(&mut cargo)
        .context("rustdoc warns about the programs")?;
    // Cargo's folder for it stays, since clippy uses the same partly compiled crates there.
    let made = project.build("cargo").join(TARGET).join("doc");
    let shown = folder(project, "userspace");
    fs::create_dir_all(project.build("doc"))?;
    if fs::read_link(&shown).ok().as_ref() != Some(&made) {
        if fs::symlink_metadata(&shown).is_ok() {
            fs::remove_file(&shown)?;
        }
        symlink(&made, &shown)?;
    }
    Ok(())
}
