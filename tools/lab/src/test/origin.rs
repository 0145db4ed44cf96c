// SPDX-License-Identifier: GPL-2.0

//! The origin of a run's results: the commit, the tree of `rust/` in it, and the kernel.

use std::fs;
use std::process::Command;

use anyhow::{ensure, Context, Result};
use serde::{Deserialize, Serialize};

use crate::project::{wanted, Project};

/// The file next to the results, below `build/`.
const FILE: &str = "test/origin.json";

/// The facts about a run at its beginning.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The commit that was checked out.
    pub commit: String,
    /// Git's name of the tree `rust/` in that commit.
    pub rust: String,
    /// The version of the stock kernel; the debug kernel has the same source.
    pub kernel: String,
    /// Whether `rust/` was the same as in that commit.
    pub clean: bool,
    /// Whether all tests whose outcomes are recorded were to run.
    pub full: bool,
}

impl Origin {
    /// Reads the origin of the last run.
    pub fn read(project: &Project) -> Result<Self> {
        let path = project.build(FILE);
        let why = || format!("cannot read {}: is `make test` done?", path.display());
        Ok(serde_json::from_slice(&fs::read(&path).with_context(why)?)?)
    }

    /// Fails if the run's outcomes cannot be recorded, with the reason.
    pub fn is_fit(&self) -> Result<()> {
        ensure!(self.full, "the last `make test` did not run all tests of the rows: run it without options, or with TESTS=--rows");
        ensure!(
            self.clean,
            "rust/ was not as in commit {} when `make test` began: commit, and test again",
            self.commit
        );
        Ok(())
    }
}

/// Writes the origin of the current run, which has all tests of the rows if `full`. A checkout
/// without git has none.
pub fn write(project: &Project, full: bool) -> Result<()> {
    let path = project.build(FILE);
    if path.exists() {
        fs::remove_file(&path)?;
    }
    let Ok(commit) = git(project, &["rev-parse", "HEAD"]) else {
        return Ok(());
    };
    let kernel = fs::read_to_string(project.build("kernel/chosen")).unwrap_or_default();
    let origin = Origin {
        rust: rust_tree(project)?,
        kernel: wanted().unwrap_or(kernel),
        clean: git(project, &["status", "--porcelain", "--", "rust"])?.is_empty(),
        commit,
        full,
    };
    fs::write(path, serde_json::to_vec_pretty(&origin)?)?;
    Ok(())
}

/// Returns git's name of the committed tree `rust/`.
pub fn rust_tree(project: &Project) -> Result<String> {
    git(project, &["rev-parse", "HEAD:rust"])
}

/// Returns the commit that is checked out, if `rust/` and `tools/` are unchanged.
pub fn commit(project: &Project) -> Option<String> {
    let changed = git(project, &["status", "--porcelain", "--", "rust", "tools"]).ok()?;
    let commit = git(project, &["rev-parse", "HEAD"]).ok()?;
    changed.is_empty().then_some(commit)
}

/// Runs git, also for a checkout that another user owns.
fn git(project: &Project, args: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*"])
        .args(args)
        .current_dir(project.root())
        .output()
        .context("cannot run git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {}: {said}", args.join(" "));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_run_of_what_is_committed_can_be_recorded() {
        let fit = Origin {
            commit: "c".into(),
            rust: "r".into(),
            kernel: "7.3.4".into(),
            clean: true,
            full: true,
        };
        assert!(fit.is_fit().is_ok());
        let dirty = Origin {
            clean: false,
            ..fit.clone()
        };
        assert!(dirty.is_fit().is_err());
        let part = Origin { full: false, ..fit };
        assert!(part.is_fit().is_err());
    }
}
