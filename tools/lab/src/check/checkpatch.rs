// SPDX-License-Identifier: GPL-2.0
//! The kernel's own style checker, on whole files.

use super::files::SourceFile;
use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;
use std::process::Command;

/// What is asked for nowhere, and why.
const IGNORED: &[&str] = &[
    // Scripts here are called `lab` and `start`, and the kernel's file is called Kbuild: English
    // words that comments need.
    "EMBEDDED_FILENAME",
    // `need mmdebstrap mmdebstrap`: a program and its package.
    "REPEATED_WORD",
    // Text that people search for is not broken.
    "LONG_LINE_STRING",
    // BIT() is not for headers that userspace reads.
    "BIT_MACRO",
    // There is no MAINTAINERS file that would have to follow.
    "FILE_PATH_CHANGES",
    // Scripts are executable here, wherever they lie.
    "EXECUTE_PERMISSIONS",
];

/// What is not asked for where Rust code holds longer texts: messages, and data of tests. Those look
/// like code to checkpatch.pl; in real code rustfmt breaks lines and ends them.
pub const IN_TEXTS: &[&str] = &["LONG_LINE", "TRAILING_WHITESPACE"];

/// C, Rust, shell and make.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let files = lab.those(|file| file.is("rs") || file.is_shell() || file.is_kbuild_or_c());
    let (userspace, kernel): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| is_userspace_rust(file));
    let mut complaints = Vec::new();
    for (files, besides) in [(kernel, &[][..]), (userspace, IN_TEXTS)] {
        let mut perl = command(lab, besides)?;
        perl.arg("--file").args(files.iter().map(|file| &file.path));
        let output = lab.capture("checkpatch", &mut perl)?;
        if !output.success {
            complaints.push(output.text);
        }
    }
    Ok(Verdict::of(&complaints))
}

fn is_userspace_rust(file: &SourceFile) -> bool {
    file.is("rs") && (file.below("tools") || file.below("rust/uapi/tests"))
}

/// checkpatch.pl of the stock kernel's source, as strict as it can be, but for `besides`.
pub fn command(lab: &Lab<'_>, besides: &[&str]) -> Result<Command> {
    let mut perl = Command::new("perl");
    perl.arg(lab.kernel()?.source.join("scripts/checkpatch.pl"));
    perl.args(["--strict", "--no-tree", "--terse", "--show-types"]);
    perl.args(["--no-summary", "--quiet", "--max-line-length=100"]);
    perl.arg("--ignore")
        .arg([IGNORED, besides].concat().join(","));
    Ok(perl)
}
