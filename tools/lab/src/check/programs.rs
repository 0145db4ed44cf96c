// SPDX-License-Identifier: GPL-2.0
//! Checks made by other programs.

use super::lab::{Lab, SourceFile};
use super::Found;
use crate::steps::{command, Log};
use crate::{build, doc};
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Checks that all Rust code is as rustfmt writes it: `.rustfmt.toml` applies to each file.
pub fn rustfmt(lab: &Lab<'_>) -> Result<Found> {
    let files = lab.those(|file| file.is("rs"));
    let mut rustfmt = command("rustfmt --check --edition 2021");
    lab.run("rustfmt", rustfmt.args(paths(&files)))
}

/// Runs shellcheck on all shell scripts.
pub fn shellcheck(lab: &Lab<'_>) -> Result<Found> {
    let scripts = lab.those(SourceFile::is_shell);
    lab.run(
        "shellcheck",
        Command::new("shellcheck").args(paths(&scripts)),
    )
}

/// Runs clippy on everything that runs in userspace, including tests.
pub fn clippy(lab: &Lab<'_>) -> Result<Found> {
    let words = "cargo clippy --quiet --workspace --all-targets \
                 --target x86_64-unknown-linux-gnu -- -Dwarnings";
    lab.run("clippy", &mut command(words))
}

/// Checks that the C header of the ABI matches the Rust definition, and that C compilers accept it.
pub fn uapi_header(lab: &Lab<'_>) -> Result<Found> {
    let words = "cargo test --quiet --package rmmap-uapi --target x86_64-unknown-linux-gnu";
    lab.run("uapi-header", &mut command(words))
}

/// The types that checkpatch.pl never reports here, and why.
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
    // There is no MAINTAINERS file to update.
    "FILE_PATH_CHANGES",
    // Scripts are executable here, in every folder.
    "EXECUTE_PERMISSIONS",
];

/// The types to ignore where Rust code contains longer texts: messages, and data of tests. Those
/// look like code to checkpatch.pl; in real code rustfmt breaks lines.
const IN_TEXTS: &[&str] = &["LONG_LINE", "TRAILING_WHITESPACE"];

/// Runs the kernel's own style checker on C, Rust, shell and make.
pub fn checkpatch(lab: &Lab<'_>) -> Result<Found> {
    let files = lab.those(|file| file.is("rs") || file.is_shell() || file.is_kbuild_or_c());
    let is_userspace_rust = |file: &&SourceFile| {
        file.is("rs") && (file.below("tools") || file.below("rust/uapi/tests"))
    };
    let (userspace, kernel): (Vec<_>, Vec<_>) = files.into_iter().partition(is_userspace_rust);
    let mut complaints = Vec::new();
    for (files, besides) in [(kernel, &[][..]), (userspace, IN_TEXTS)] {
        let mut perl = checkpatch_command(lab, besides)?;
        let (success, text) = lab.capture("checkpatch", perl.arg("--file").args(paths(&files)))?;
        complaints.extend((!success).then_some(text));
    }
    Ok(Found::Complaints(complaints))
}

/// The branch that changes are for.
const UPSTREAM: &str = "origin/main";

/// Runs the kernel's own style checker on commits that can still be changed: those not upstream
/// yet.
pub fn commits(lab: &Lab<'_>) -> Result<Found> {
    let range = format!("{UPSTREAM}..HEAD");
    // The checkout's owner may be another user than the root's.
    let mut list = command("git -c safe.directory=* rev-list --reverse");
    let (success, list) = lab.capture("commits", list.arg(&range))?;
    if !success {
        let why = format!("there is no branch {UPSTREAM} to compare with");
        return Ok(Found::Skipped(why));
    }
    if list.trim().is_empty() {
        return Ok(Found::Skipped(format!("all commits are in {UPSTREAM}")));
    }
    let mut perl = checkpatch_command(lab, IN_TEXTS)?;
    perl.env("GIT_CONFIG_COUNT", "1");
    perl.env("GIT_CONFIG_KEY_0", "safe.directory");
    perl.env("GIT_CONFIG_VALUE_0", "*");
    lab.run("commits", perl.arg("--git").arg(range))
}

/// Returns the command checkpatch.pl of the stock kernel's source, as strict as possible, except
/// for `besides`.
fn checkpatch_command(lab: &Lab<'_>, besides: &[&str]) -> Result<Command> {
    let mut perl = Command::new("perl");
    perl.arg(lab.kernel()?.source.join("scripts/checkpatch.pl"));
    perl.args(["--strict", "--no-tree", "--terse", "--show-types"]);
    perl.args(["--no-summary", "--quiet", "--max-line-length=100"]);
    let ignored = [IGNORED, besides].concat().join(",");
    perl.args(["--ignore", &ignored]);
    Ok(perl)
}

/// Compiles the modules for the stock kernel with clippy in place of rustc, by the kernel's own
/// rules.
///
/// Clippy is the compiler with more lints, so this also finds the warnings of a plain build, and
/// the C compiler and modpost run as usual. It uses a separate folder, so the modules that
/// `make run` loads stay.
pub fn clippy_stock(lab: &Lab<'_>) -> Result<Found> {
    compile(lab, "stock", &lab.kernel()?.kdir)
}

/// Does the same for the debug kernel, which has more options: KUnit suites, lockdep.
pub fn clippy_debug(lab: &Lab<'_>) -> Result<Found> {
    match build::debug().built(lab.project, lab.kernel()?) {
        Some(debug) => compile(lab, "debug", &debug.kdir),
        None => Ok(Found::Skipped(
            "the debug kernel is not built yet: `make test` builds it".to_owned(),
        )),
    }
}

fn compile(lab: &Lab<'_>, kernel: &str, kdir: &Path) -> Result<Found> {
    let out = lab.project.build(format!("check/modules/{kernel}"));
    // An object that is up to date would not be compiled again, and its warnings would be lost.
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    let mut make = command("make --jobs=2 CLIPPY=1 modules");
    make.arg("-C").arg(kdir);
    make.arg(format!("M={}", lab.project.root().display()));
    make.arg(format!("MO={}", out.display()));
    let (success, text) = lab.capture(&format!("clippy-{kernel}"), &mut make)?;
    // Any of the compilers, or modpost.
    let warns = text.to_lowercase().contains("warning");
    Ok(match success && !warns {
        true => Found::nothing(),
        false => Found::Complaints(vec![without_steps(&text)]),
    })
}

/// Returns the output without the steps that make announces.
fn without_steps(text: &str) -> String {
    let is_step = |line: &str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        line.starts_with("make")
            || (line.starts_with("  ") && first.chars().all(|c| c.is_ascii_uppercase()))
    };
    let kept = |line: &&str| !is_step(line) || line.contains("***");
    text.lines().filter(kept).collect::<Vec<_>>().join("\n")
}

/// Runs rustdoc on the programs.
pub fn doc_userspace(lab: &Lab<'_>) -> Result<Found> {
    documented(lab, "doc-userspace", |log| doc::userspace(log, lab.project))
}

/// Runs rustdoc on the modules and their libraries.
pub fn doc_kernel(lab: &Lab<'_>) -> Result<Found> {
    let kernel = lab.kernel()?;
    documented(lab, "doc-kernel", |log| {
        doc::kernel(log, lab.project, lab.steps, kernel)
    })
}

/// Builds the guide.
pub fn doc_guide(lab: &Lab<'_>) -> Result<Found> {
    documented(lab, "doc-guide", |log| doc::guide(log, lab.project))
}

/// Turns the error of a failed documentation build into a complaint.
fn documented(
    lab: &Lab<'_>,
    name: &str,
    build: impl FnOnce(&mut Log) -> Result<()>,
) -> Result<Found> {
    let mut log = Log::create(lab.project.build(format!("check/{name}.log")))?;
    let error = build(&mut log).err();
    Ok(Found::Complaints(
        error.iter().map(|error| format!("{error:#}")).collect(),
    ))
}

fn paths<'a>(files: &'a [&SourceFile]) -> impl Iterator<Item = &'a Path> {
    files.iter().map(|file| file.path.as_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_stay_and_steps_go() {
        let text = "make: Entering directory\n  CC [M]  x.o\nx.c:1: warning: unused\n  --> x.c:1\n\
                    make[1]: *** [x.o] Error 1\n";
        assert_eq!(
            without_steps(text),
            "x.c:1: warning: unused\n  --> x.c:1\nmake[1]: *** [x.o] Error 1"
        );
    }
}
