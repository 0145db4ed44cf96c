// SPDX-License-Identifier: GPL-2.0
//! The modules, compiled with clippy in rustc's place, by the kernel's own rules.
//!
//! Clippy is the compiler with more lints, so this finds what a plain build would warn of, too, and
//! the C compiler and modpost run as ever. The folder is an own one: what `make run` loads stays.

use super::lab::Lab;
use super::verdict::Verdict;
use crate::build;
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::process::Command;

/// For the stock kernel.
pub fn stock(lab: &Lab<'_>) -> Result<Verdict> {
    compile(lab, "stock", &lab.kernel()?.kdir)
}

/// For the debug kernel, which has more configured in: KUnit suites, lockdep.
pub fn debug(lab: &Lab<'_>) -> Result<Verdict> {
    match build::debug().built(lab.project, lab.kernel()?) {
        Some(debug) => compile(lab, "debug", &debug.kdir),
        None => Ok(Verdict::Skipped(
            "the debug kernel is not built yet: `make test` builds it".to_owned(),
        )),
    }
}

fn compile(lab: &Lab<'_>, kernel: &str, kdir: &Path) -> Result<Verdict> {
    let out = lab.project.build(format!("check/modules/{kernel}"));
    // An object that is up to date is not compiled again, and its warnings would be gone.
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    let mut make = Command::new("make");
    make.arg("-C").arg(kdir).arg("--jobs=2");
    make.arg(format!("M={}", lab.project.root().display()));
    make.arg(format!("MO={}", out.display()));
    make.args(["CLIPPY=1", "modules"]);
    let output = lab.capture(&format!("clippy-{kernel}"), &mut make)?;
    if output.success && !warns(&output.text) {
        return Ok(Verdict::Passed);
    }
    Ok(Verdict::Failed(complaints(&output.text)))
}

/// What was printed, without the steps that make announces.
fn complaints(text: &str) -> String {
    let is_step = |line: &str| {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        line.starts_with("make")
            || (line.starts_with("  ") && first.chars().all(|c| c.is_ascii_uppercase()))
    };
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !is_step(line) || line.contains("***"))
        .collect();
    lines.join("\n")
}

/// Whether any of the compilers, or modpost, had something to say.
fn warns(text: &str) -> bool {
    text.lines()
        .any(|line| line.to_lowercase().contains("warning"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_stay_and_steps_go() {
        let text = "make: Entering directory\n  CC [M]  x.o\nx.c:1: warning: unused\n  --> x.c:1\n\
                    make[1]: *** [x.o] Error 1\n";
        let left = complaints(text);
        assert_eq!(
            left,
            "x.c:1: warning: unused\n  --> x.c:1\nmake[1]: *** [x.o] Error 1"
        );
    }

    #[test]
    fn each_kind_of_warning_is_noticed() {
        assert!(warns("  CC x.o\nx.c:1:2: warning: unused variable\n"));
        assert!(warns("WARNING: modpost: missing MODULE_DESCRIPTION()\n"));
        assert!(!warns("  CLIPPY x.o\n  LD [M]  x.ko\n"));
    }
}
