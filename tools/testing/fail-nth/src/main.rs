// SPDX-License-Identifier: GPL-2.0

//! `rmmap-fail-nth`: fails each allocation of each operation of the devices once.

#![forbid(unsafe_code)]

mod args;
mod faults;
mod load;
mod op;
mod ops;
mod report;
mod run;
mod sites;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run::run(&args::Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rmmap-fail-nth: {error:#}");
            ExitCode::from(2)
        }
    }
}
