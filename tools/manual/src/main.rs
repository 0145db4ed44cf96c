// SPDX-License-Identifier: GPL-2.0

//! Writes rmmap's manual pages and the shells' completions into the folder that it is given.

#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap_complete::{generate_to, Shell};

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("give a folder")?;
    clap_mangen::generate_to(rmmap::command(), &folder)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        generate_to(shell, &mut rmmap::command(), "rmmap", &folder)?;
    }
    Ok(())
}
