// SPDX-License-Identifier: GPL-2.0

//! `rmmap-selftest`: the device tests as a program, which `rmmap selftest` starts.

#![forbid(unsafe_code)]

use clap::Parser;
use std::process::ExitCode;

/// Test the device: one process and one time limit per test, results as KTAP.
#[derive(Debug, Parser)]
#[command(
    name = "rmmap-selftest",
    version,
    help_expected = true,
    max_term_width = 100
)]
struct Line {
    #[command(flatten)]
    args: rmmap_selftest::Args,
}

fn main() -> ExitCode {
    let args = Line::parse().args;
    if !args.json {
        return rmmap_selftest::run(&args);
    }
    match serde_json::to_string(&rmmap_selftest::table::tests()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("rmmap-selftest: cannot write JSON: {error}");
            ExitCode::from(2)
        }
    }
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
