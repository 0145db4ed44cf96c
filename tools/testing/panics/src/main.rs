// SPDX-License-Identifier: GPL-2.0

//! `rmmap-panics`: the program `rmmap`, but it panics as soon as it has something to put back.
//!
//! No input makes `rmmap` panic, and tests have to see what a panic leaves behind: a release build
//! aborts without dropping anything.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    rmmap::main(|moment| panic!("a panic on purpose: {moment:?}"))
}
