// SPDX-License-Identifier: GPL-2.0
//! The C header of the ABI is the one that the Rust definition makes, and C compilers take it.
//!
//! That both mean the same is the business of a test, `rust/uapi/tests/c_header.rs`.

use super::lab::Lab;
use super::verdict::Verdict;
use crate::uapi;
use anyhow::Result;
use std::process::Command;

/// Generates, compares, compiles for 64- and for 32-bit programs.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    if let Some(difference) = uapi::difference(lab.project)? {
        return Ok(Verdict::Failed(difference));
    }
    let mut complaints = Vec::new();
    for bits in ["-m64", "-m32"] {
        let mut cc = Command::new("cc");
        cc.args([
            bits,
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
        ]);
        // The kernel's headers are the same for both, but only installed for one.
        cc.arg("-I/usr/include/x86_64-linux-gnu");
        cc.args(["-fsyntax-only", "-x", "c", uapi::HEADER]);
        let output = lab.capture("uapi-header", &mut cc)?;
        if !output.success {
            complaints.push(format!("{bits}:\n{}", output.text));
        }
    }
    Ok(Verdict::of(&complaints))
}
