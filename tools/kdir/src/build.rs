// SPDX-License-Identifier: GPL-2.0
//! Calls the kernel's build system, keeps its output in a log, and shows the end of it on failure.

use crate::toolchain::Toolchain;
use anyhow::{bail, Context, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The number of lines of the log that a failure shows.
const TAIL: usize = 15;

/// The kernel's build system, set up for one source and one build folder.
pub struct Make {
    log: PathBuf,
    arguments: Vec<String>,
}

impl Make {
    /// Makes the call of `make` in `tree` for the folder `out`.
    pub fn new(tree: &Path, out: &Path, tools: &Toolchain, release: &str, jobs: usize) -> Self {
        let mut arguments = vec![
            format!("--directory={}", tree.display()),
            format!("--jobs={jobs}"),
            format!("O={}", out.display()),
            format!("KERNELRELEASE={release}"),
        ];
        arguments.extend(tools.make_arguments());
        Self {
            log: out.join("rmmap-kdir.log"),
            arguments,
        }
    }

    /// Makes `targets`; `what` describes the step for people.
    pub fn run(&self, what: &str, targets: &[&str]) -> Result<()> {
        let begun = Instant::now();
        let log = File::create(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let status = self
            .command()
            .args(targets)
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()
            .context("cannot run make: apt-get install make")?;
        if !status.success() {
            bail!(
                "{what} failed, see {}:\n{}",
                self.log.display(),
                self.tail()
            );
        }
        eprintln!("kdir: {what}: {:.0} s", begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Returns what the kernel's own check reports about the Rust tools.
    pub fn reason_rust_is_unavailable(&self) -> String {
        match self.command().arg("rustavailable").output() {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                let reason = text.lines().find_map(|line| line.strip_prefix("*** "));
                // The script prints nothing if the tools are fine and another dependency is not.
                reason
                    .unwrap_or("a dependency of CONFIG_RUST is off")
                    .to_owned()
            }
            Err(error) => error.to_string(),
        }
    }

    fn command(&self) -> Command {
        let mut make = Command::new("make");
        // Flags and variables of an outer make are not for this one.
        make.env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL")
            .env_remove("KBUILD_OUTPUT");
        make.args(&self.arguments);
        make
    }

    fn tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_shows_the_end_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("Makefile"),
            "all:\n\t@echo the reason; false\n",
        )
        .unwrap();
        let tools = Toolchain {
            cc: "cc".into(),
            cross: None,
            rust_lib_src: "/x".into(),
        };
        let make = Make::new(dir.path(), dir.path(), &tools, "7.3.4", 1);
        let error = make.run("testing", &["all"]).unwrap_err().to_string();
        assert!(
            error.starts_with("testing failed") && error.contains("the reason"),
            "{error}"
        );
    }
}
