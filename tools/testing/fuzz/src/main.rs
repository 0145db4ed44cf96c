// SPDX-License-Identifier: GPL-2.0

//! `rmmap-fuzz`: does the same operations to regions, the device and memfds, and compares.

#![forbid(unsafe_code)]

mod actor;
mod args;
mod differences;
mod episode;
mod files;
mod generate;
mod model;
mod op;
mod pair;
mod predict;
mod process;
mod run;
mod shrink;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run::run(&args::Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rmmap-fuzz: {error:#}");
            ExitCode::from(2)
        }
    }
}
