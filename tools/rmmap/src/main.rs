// SPDX-License-Identifier: GPL-2.0

//! `rmmap`: shows, counts and tests what `/dev/rmmap` and the kernel's mmap path do.
//!
//! | module | what it does |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`demo`] | maps in every way and shows what the kernel did |
//! | [`stat`] | the counters of a region and of the device |
//! | [`trace`] | the way of a mapping through the kernel's functions |
//! | [`device`] | opens the device, and says what to do when that fails |
//! | [`output`] | standard output |
//! | [`style`] | colours |

#![forbid(unsafe_code)]

mod cli;
mod demo;
mod device;
mod output;
mod stat;
mod style;
mod trace;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, CANNOT_RUN};

/// Runs the command.
fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    cli.color.write_global();
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Stat(args) => stat::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Selftest(args) => Ok(rmmap_selftest::run(&args)),
    }
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(status) => status,
        Err(error) if output::is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{}rmmap:{0:#} {error:#}", style::BAD);
            ExitCode::from(CANNOT_RUN)
        }
    }
}
