// SPDX-License-Identifier: GPL-2.0

//! Writes manual pages and the shells' completions into a folder for each of the programs, below the
//! folder that it is given.

#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap_complete::{generate_to, Shell};
use std::path::PathBuf;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("give a folder")?;
    let folder = PathBuf::from(folder);
    for (name, command) in [
        ("rmmap", rmmap::command()),
        ("rmmap-kdir", rmmap_kdir::command()),
    ] {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        clap_mangen::generate_to(command.clone(), &folder)?;
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            generate_to(shell, &mut command.clone(), name, &folder)?;
        }
    }
    Ok(())
}
