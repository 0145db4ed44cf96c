// SPDX-License-Identifier: GPL-2.0
//! `rmmap-kdir`: see the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    match rmmap_kdir::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kdir: {error:#}");
            ExitCode::FAILURE
        }
    }
}
