// SPDX-License-Identifier: GPL-2.0

//! The tests that hold for any shared memory, run on memfd, to check their expectations against the
//! kernel.
//!
//! It has a `main` of its own, since the harness forks, which a process with threads must not do.

use rmmap_selftest::args::Object;
use rmmap_selftest::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    rmmap_selftest::run(&Args {
        // Guests and compilers may run at the same time.
        time_scale: 4.0,
        cycles: 1,
        object: Object::Memfd,
        ..Args::default()
    })
}
