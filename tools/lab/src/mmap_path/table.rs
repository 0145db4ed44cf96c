// SPDX-License-Identifier: GPL-2.0
//! The rows, and their tests as `rmmap-selftest --list --json` prints them.

use crate::project::Project;
use anyhow::{ensure, Context, Result};
use rmmap_rows::{Group, Row, Test, GROUPS};
use std::process::Command;

/// The rows and the tests.
#[derive(Debug)]
pub struct Table {
    /// The branches, by function.
    pub groups: Vec<Group>,
    /// The tests of rows.
    pub tests: Vec<Test>,
}

impl Table {
    /// Reads the tests from the program.
    pub fn ask(project: &Project) -> Result<Self> {
        let program = project.program("rmmap-selftest");
        let output = Command::new(&program)
            .args(["--list", "--json"])
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        ensure!(
            output.status.success(),
            "rmmap-selftest --list --json: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let tests = serde_json::from_slice(&output.stdout);
        Ok(Self {
            groups: GROUPS.clone(),
            tests: tests.context("cannot understand rmmap-selftest --list --json")?,
        })
    }

    /// Returns the tests of a row.
    pub fn of<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a Test> {
        let is_of = |test: &&Test| test.rows.contains(&row.id);
        self.tests.iter().filter(is_of)
    }
}

/// Makes a table of two rows and two tests.
#[cfg(test)]
pub fn example() -> Table {
    let row = |id: &str, reach: &str, why: &str| {
        serde_json::json!({"id": id, "seed": "perf_event_mmap", "kernel": "vma.c:x", "trigger": "t",
            "expected": "e", "reach": reach, "why": why})
    };
    let rows = [row("MR-33", "anyone", ""), row("MR-03", "no", "race only")];
    let group = serde_json::json!({"title": "mmap_region (mm/vma.c)", "row": rows});
    let tests = serde_json::json!([
        {"name": "perf", "variants": ["perf"], "rows": ["MR-33"]},
        {"name": "kinds", "variants": ["kinds/region", "kinds/device"], "rows": ["MR-33"]},
    ]);
    Table {
        groups: vec![serde_json::from_value(group).unwrap()],
        tests: serde_json::from_value(tests).unwrap(),
    }
}
