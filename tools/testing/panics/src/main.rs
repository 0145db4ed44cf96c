// SPDX-License-Identifier: GPL-2.0

//! `rmmap-panics`: the program `rmmap` with a panic as soon as it has changed state that it must
//! restore.
//!
//! No input makes `rmmap` panic, but tests must check the state after a panic: a release build
//! aborts without dropping anything.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    rmmap::main(|moment| panic!("a panic on purpose: {moment:?}"))
}
