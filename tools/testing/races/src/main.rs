// SPDX-License-Identifier: GPL-2.0

//! `rmmap-races`: runs pairs of operations, and delays one of them at each point of the module.
//!
//! In the lab's root it starts a guest, whose processors QEMU emulates with the plugin `delay.c`. In
//! the guest it runs the scenarios: `make races`.

#![forbid(unsafe_code)]

mod args;
mod cx;
mod host;
mod plugin;
mod report;
mod run;
mod scenarios;
mod symbols;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let result = match args.guest {
        true => run::run(&args),
        false => host::run(&args),
    };
    result.map(ExitCode::from).unwrap_or_else(|error| {
        eprintln!("rmmap-races: {error:#}");
        ExitCode::from(2)
    })
}
