// SPDX-License-Identifier: GPL-2.0

//! `rmmap-bench`: the benchmark as a program, which `rmmap bench` starts.

#![forbid(unsafe_code)]

use clap::Parser;
use std::io;
use std::process::ExitCode;

/// The exit status if it cannot measure. Clap uses the same for a wrong command line.
const CANNOT_RUN: u8 = 2;

/// Measure the cost of rmmap's memory, next to memfd, ramfs, huge and anonymous pages.
#[derive(Debug, Parser)]
#[command(
    name = "rmmap-bench",
    version,
    help_expected = true,
    max_term_width = 100
)]
struct Line {
    #[command(flatten)]
    args: rmmap_bench::Args,
}

fn main() -> ExitCode {
    match rmmap_bench::run(&Line::parse().args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rmmap: {error:#}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}

/// Returns whether it failed only because its reader exited (`rmmap bench | head`).
fn is_reader_gone(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_every_option_has_help() {
        Line::command().debug_assert();
    }
}
