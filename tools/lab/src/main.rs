// SPDX-License-Identifier: GPL-2.0
//! The lab of rmmap: makes kernels, build folders and tools, and runs them in virtual machines.
//!
//! It runs inside the Debian root that `tools/lab/lab` makes and enters. `rmmap-guest` does its
//! work in the virtual machines that it starts.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod check;
mod cli;
mod coverage;
mod doc;
mod generated;
mod mmap_path;
mod patches;
mod run;
mod test;
mod vm;

use rmmap_guest::protocol;
use rmmap_steps::{project, steps};
use std::process::ExitCode;

/// Exit status if the lab itself could not do its work (EX_UNAVAILABLE of sysexits.h).
const LAB_BROKE: u8 = 69;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::from(LAB_BROKE)
        }
    }
}
