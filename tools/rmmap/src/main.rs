// SPDX-License-Identifier: GPL-2.0

//! `rmmap`: shows, counts and tests what `/dev/rmmap` and the kernel's mmap path do.
//!
//! | module | what it does |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`demo`] | maps in every way and shows what the kernel did |
//! | [`map`] | mmap(2) as a command |
//! | [`watch`] | pages of a mapping or an object as they come and go |
//! | [`stat`] | the counters of a region and of the device |
//! | [`trace`] | the way of a mapping through the kernel's functions |
//! | [`device`] | opens the device, and says what to do when that fails |
//! | [`output`] | standard output |
//! | [`size`], [`vmflags`] | sizes as people write them, flags of mappings in words |
//! | [`style`] | colours |

#![forbid(unsafe_code)]

mod cli;
mod demo;
mod device;
mod map;
mod output;
mod size;
mod stat;
mod style;
mod trace;
mod vmflags;
mod watch;

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
        Command::Map(args) => map::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Bench(args) => rmmap_bench::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Selftest(args) if args.json => {
            let table = rmmap_selftest::table::table();
            output::line(serde_json::to_string(&table)?)?;
            Ok(ExitCode::SUCCESS)
        }
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
