// SPDX-License-Identifier: GPL-2.0

//! The tests that hold for any shared memory, on memfd: what they expect is the kernel's.
//!
//! A `main` of its own, since the harness forks and a process with threads cannot.

use rmmap_selftest::args::Object;
use rmmap_selftest::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    rmmap_selftest::run(&Args {
        // It runs beside guests and compilers.
        time_scale: 4.0,
        cycles: 1,
        object: Object::Memfd,
        ..Args::default()
    })
}
