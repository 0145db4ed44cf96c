// SPDX-License-Identifier: GPL-2.0

//! `rmmap`: shows, counts and measures what `/dev/rmmap` and the kernel's mmap path do.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    rmmap::main(|_| ())
}
