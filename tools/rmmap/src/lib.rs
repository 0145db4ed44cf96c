// SPDX-License-Identifier: GPL-2.0

//! The program `rmmap`: shows, counts and measures what `/dev/rmmap` and the kernel's mmap path do.
//!
//! | module | what it does |
//! |---|---|
//! | `cli` | the command line |
//! | `demo` | maps in every way and shows what the kernel did |
//! | `map` | mmap(2) as a command |
//! | `watch` | resident pages of a mapping or an object, live |
//! | `stat` | the counters of a region and of the device |
//! | `exec` | runs a program whose memfds are regions |
//! | `trace` | the path of a mapping through the kernel's functions |
//! | `programs` | starts the device tests and the benchmark |
//! | `device` | opens the device, and names the remedy if that fails |
//! | `target` | untouched memory of the device, or of a new region |
//! | `observe` | the kernel's information about a mapping of this process |
//! | `output` | standard output |
//! | `size`, `vmflags` | sizes as people write them, flags of mappings in words |
//! | `style`, `status` | colours, exit statuses |

#![forbid(unsafe_code)]

mod cli;
mod demo;
mod device;
mod exec;
mod map;
mod observe;
mod output;
mod programs;
mod size;
mod stat;
mod status;
mod style;
mod target;
mod trace;
mod vmflags;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command};
use status::CANNOT_RUN;

/// A place in the program where state is still to be restored, and where no input makes the program
/// fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// `rmmap trace` has recorded, and tracing is still set up.
    Recorded,
    /// `rmmap watch` has drawn on the terminal, which it still controls.
    Drawn,
}

/// Returns the command line, for its manual pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command. `at` is called at each [`Moment`]: the tests' own program panics there.
fn run(cli: Cli, at: fn(Moment)) -> anyhow::Result<ExitCode> {
    cli.color.write_global();
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Stat(args) => stat::run(&args),
        Command::Trace(args) => trace::run(&args, at),
        Command::Map(args) => map::run(&args),
        Command::Watch(args) => watch::run(&args, at),
        Command::Exec(args) => exec::run(&args),
        Command::Bench(args) => programs::run("rmmap-bench", &args),
        Command::Selftest(args) => programs::run("rmmap-selftest", &args),
    }
}

/// Runs the program: reads the command line, runs the command, prints errors.
pub fn main(at: fn(Moment)) -> ExitCode {
    match run(Cli::parse(), at) {
        Ok(status) => status,
        Err(error) if output::is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{}rmmap:{0:#} {error:#}", style::BAD);
            ExitCode::from(CANNOT_RUN)
        }
    }
}
