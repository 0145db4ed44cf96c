// SPDX-License-Identifier: GPL-2.0

//! The kernel with the series in it: small, with all that the series adds switched on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::kconfig;
use super::ours::Ours;
use crate::build::own;
use crate::project::Project;
use crate::steps::{Inputs, Log, Steps};
use crate::vm::Kernel;

/// Options besides those of the series.
const FRAGMENT: &str = "tools/lab/patches.config";

/// What is built, and where.
pub struct Target<'a> {
    /// The tree with the series.
    pub tree: &'a Path,
    /// The folder for objects.
    pub objects: PathBuf,
    /// The options, complete.
    fragment: String,
}

impl<'a> Target<'a> {
    /// The kernel of `tree`, with all of `ours` switched on.
    pub fn new(project: &Project, tree: &'a Path, ours: &Ours) -> Result<Self> {
        let mut fragment = fs::read_to_string(project.root().join(FRAGMENT))?;
        fragment += &format!("CONFIG_{}=y\n", kconfig::KUNIT_OPTION);
        for name in ours.samples.keys() {
            fragment += &format!("CONFIG_{}=m\n", kconfig::sample_option(name));
        }
        Ok(Self {
            tree,
            objects: project.build("patches/kernel"),
            fragment,
        })
    }

    /// What to boot: all that a guest needs is built in.
    pub fn kernel(&self) -> Kernel {
        Kernel {
            image: self.objects.join("arch/x86/boot/bzImage"),
            modules: None,
        }
    }

    /// The module of a sample.
    pub fn module(&self, sample: &str) -> PathBuf {
        self.objects.join(format!("samples/rust/{sample}.ko"))
    }

    /// Builds it, unless that was done for this `series` (its hash). Returns why it does not
    /// build; what is no error of a compiler is the lab's.
    pub fn build(&self, steps: &Steps, series: &str) -> Result<Option<String>> {
        let inputs = crate::build::compiler_inputs()?
            .text(series)
            .text(&self.fragment);
        let mut why = None;
        let name = "building the kernel with the patches (some minutes the first time)";
        let done = steps.step(name, &inputs, &[&self.kernel().image], |log| {
            let fragment = self.objects.with_extension("config");
            fs::write(&fragment, &self.fragment)?;
            fs::create_dir_all(&self.objects)?;
            let origin = fragment.display().to_string();
            own::configure(self.command(), &self.objects, &fragment, &origin, log)?;
            let made = self.make(log, &["bzImage", "modules"]);
            why = made.as_ref().err().map(|_| complaints(&log.text()));
            made
        });
        match why {
            Some(why) => Ok(Some(why)),
            None => done.map(|()| None),
        }
    }

    fn make(&self, log: &mut Log, targets: &[&str]) -> Result<()> {
        log.run(self.command().args(targets))
    }

    fn command(&self) -> Command {
        own::make(self.tree, &self.objects, &["LLVM=1"])
    }
}

/// The compilers' complaints in a log, without the steps that make announces.
fn complaints(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let begins = |line: &str| {
        ["error", "warning", "ERROR", "***"]
            .iter()
            .any(|word| line.contains(word))
    };
    let first = lines
        .iter()
        .position(|line| begins(line))
        .unwrap_or(lines.len());
    let is_step = |line: &str| {
        line.starts_with("make")
            || line.strip_prefix("  ").is_some_and(|rest| {
                rest.split_whitespace().next().is_some_and(|word| {
                    word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase())
                })
            })
    };
    let kept = lines[first..]
        .iter()
        .filter(|line| !is_step(line) || line.contains("***"));
    kept.copied().collect::<Vec<_>>().join("\n")
}

/// The hash of a series: what its patches do.
pub fn digest(patches: &[super::series::Patch]) -> String {
    let mut inputs = Inputs::new();
    for patch in patches {
        inputs = inputs.text(&patch.subject).text(&patch.body);
        for (path, text) in &patch.files {
            inputs = inputs.text(path).text(text);
        }
    }
    inputs.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_begin_with_the_first_error() {
        let log =
            "  CC a.o\n  RUSTC L rust/kernel.o\nerror[E0425]: no\n --> a.rs\n   |\n  CC b.o\n\
                   make[2]: *** [a] Error 1\n";
        assert_eq!(
            complaints(log),
            "error[E0425]: no\n --> a.rs\n   |\nmake[2]: *** [a] Error 1"
        );
    }
}
