// SPDX-License-Identifier: GPL-2.0
//! Rows and tests, as `rmmap selftest --list --json` tells them.

use crate::project::Project;
use anyhow::{ensure, Context, Result};
use serde::Deserialize;
use std::process::Command;

/// All of it.
#[derive(Debug, Deserialize)]
pub struct Table {
    /// The branches, by function.
    pub groups: Vec<Group>,
    /// The tests that are of a row.
    pub tests: Vec<Test>,
}

/// The branches of a function.
#[derive(Debug, Deserialize)]
pub struct Group {
    /// The function and its file.
    pub title: String,
    /// The branches.
    pub rows: Vec<Row>,
}

/// A branch; `tools/testing/selftest/src/rows.rs` says what the fields mean.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub id: String,
    pub seed: String,
    pub kernel: String,
    pub trigger: String,
    pub expected: String,
    pub reach: Reach,
    pub why: String,
}

/// Who can take a branch.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Every user who may open the device.
    Anyone,
    /// Who is root.
    Privileged,
    /// Nobody.
    No,
}

/// A test.
#[derive(Debug, Deserialize)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// Its names in results.
    pub variants: Vec<String>,
    /// Of which rows it is.
    pub rows: Vec<String>,
}

impl Table {
    /// Asks the program.
    pub fn ask(project: &Project) -> Result<Self> {
        let program = project.program("rmmap");
        let output = Command::new(&program)
            .args(["selftest", "--list", "--json"])
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        ensure!(
            output.status.success(),
            "rmmap selftest --list --json: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout).context("cannot understand rmmap selftest --list")
    }

    /// The tests of a row.
    pub fn of<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a Test> {
        let is_of = |test: &&Test| test.rows.contains(&row.id);
        self.tests.iter().filter(is_of)
    }
}

/// A table of two rows and two tests.
#[cfg(test)]
pub fn example() -> Table {
    let row = |id: &str, reach: &str, why: &str| {
        serde_json::json!({"id": id, "seed": "perf_event_mmap", "kernel": "same", "trigger": "t",
            "expected": "e", "reach": reach, "why": why})
    };
    let rows = [row("MR-33", "anyone", ""), row("MR-03", "no", "race only")];
    let groups = [serde_json::json!({"title": "mmap_region (mm/vma.c)", "rows": rows})];
    let tests = serde_json::json!([
        {"name": "perf", "variants": ["perf"], "rows": ["MR-33"]},
        {"name": "kinds", "variants": ["kinds/region", "kinds/device"], "rows": ["MR-33"]},
    ]);
    serde_json::from_value(serde_json::json!({"groups": groups, "tests": tests})).unwrap()
}
