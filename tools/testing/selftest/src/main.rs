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
    max_term_width = 100,
    after_help = rmmap_selftest::args::EXIT_STATUS
)]
struct Line {
    #[command(flatten)]
    args: rmmap_selftest::Args,
}

fn main() -> ExitCode {
    rmmap_selftest::run(&Line::parse().args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::path::PathBuf;

    #[test]
    fn the_command_line_is_consistent_and_every_option_has_help() {
        Line::command().debug_assert();
    }

    /// Parses words and returns where JSON goes.
    fn json(words: &[&str]) -> (Option<PathBuf>, bool) {
        let words = ["rmmap-selftest"].iter().chain(words);
        let args = Line::try_parse_from(words).unwrap().args;
        (args.json.clone(), args.json_is_on_stdout())
    }

    #[test]
    fn json_takes_a_file_or_stdout() {
        assert_eq!(json(&[]), (None, false));
        assert_eq!(json(&["--json"]), (Some("-".into()), true));
        assert_eq!(json(&["--list", "--json"]), (Some("-".into()), true));
        assert_eq!(json(&["--json", "-t", "x"]), (Some("-".into()), true));
        assert_eq!(json(&["--json", "x.json"]), (Some("x.json".into()), false));
    }

    #[test]
    fn options_of_a_run_are_refused_for_a_list() {
        for option in ["--junit=x", "--shuffle=1", "--repeat=2", "--fail-fast"] {
            assert!(Line::try_parse_from(["", "--list", option]).is_err());
            assert!(Line::try_parse_from(["", option]).is_ok(), "{option}");
        }
        assert!(Line::try_parse_from(["", "--repeat=0"]).is_err());
    }
}
