// SPDX-License-Identifier: GPL-2.0

//! The device tests alone, without the rest of `rmmap`; for work on the tests.

#![forbid(unsafe_code)]

use clap::Parser;
use std::process::ExitCode;

/// The device tests of rmmap.
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: rmmap_selftest::Args,
}

fn main() -> ExitCode {
    rmmap_selftest::run(&Cli::parse().args)
}
