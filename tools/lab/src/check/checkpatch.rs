// SPDX-License-Identifier: GPL-2.0
//! The kernel's own style checker, on whole files.

use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;
use std::process::Command;

/// What is not asked for, and why.
const IGNORED: &[&str] = &[
    // Scripts here are called `lab` and `start`, and the kernel's file is called Kbuild: English
    // words that comments need.
    "EMBEDDED_FILENAME",
    // `need mmdebstrap mmdebstrap`: a program and its package.
    "REPEATED_WORD",
    // rustfmt and `make check --only rustfmt` decide where a line of Rust is broken; what they
    // leave long is text that people search for, or a path.
    "LONG_LINE_STRING",
    // There is no MAINTAINERS file that would have to follow.
    "FILE_PATH_CHANGES",
    // Scripts are executable here, wherever they lie.
    "EXECUTE_PERMISSIONS",
];

/// C, Rust, shell and make.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let files = lab.those(|file| file.is("rs") || file.is_shell() || file.is_kbuild_or_c());
    let mut perl = command(lab)?;
    perl.arg("--file").args(files.iter().map(|file| &file.path));
    Ok(lab.capture("checkpatch", &mut perl)?.verdict())
}

/// checkpatch.pl of the stock kernel's source, as strict as it can be.
pub fn command(lab: &Lab<'_>) -> Result<Command> {
    let mut perl = Command::new("perl");
    perl.arg(lab.kernel()?.source.join("scripts/checkpatch.pl"));
    perl.args([
        "--strict",
        "--no-tree",
        "--terse",
        "--show-types",
        "--no-summary",
    ]);
    perl.args(["--quiet", "--max-line-length=100", "--ignore"]);
    perl.arg(IGNORED.join(","));
    Ok(perl)
}
