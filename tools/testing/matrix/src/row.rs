// SPDX-License-Identifier: GPL-2.0

//! The results of one kernel, and the table of all.

use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The results of one kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The kernel, as `uname -r` prints it, or its folder.
    pub kernel: String,
    /// The hash of module, programs and tests.
    pub digest: u64,
    /// `uname -m` in the guest.
    pub arch: String,
    /// The size of a page in the guest, bytes; 0 if the guest did not tell.
    pub page_size: u64,
    /// Why results are missing.
    pub broken: Option<String>,
    /// The demo, and the tests by hook and policy.
    pub parts: Vec<Part>,
}

/// The result of a program, or of the tests with a setting of the module.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `demo`, or hook and policy: `mmap/adaptive`.
    pub name: String,
    /// How many tests passed.
    pub passed: u32,
    /// How many were skipped.
    pub skipped: u32,
    /// The tests that failed, with their messages.
    pub failed: Vec<(String, String)>,
}

impl Row {
    /// Makes the row of a kernel without results.
    pub fn new(kernel: &str, digest: u64) -> Self {
        Self {
            kernel: kernel.to_owned(),
            digest,
            arch: "-".to_owned(),
            page_size: 0,
            broken: None,
            parts: Vec::new(),
        }
    }

    /// Returns whether nothing failed.
    pub fn is_good(&self) -> bool {
        self.broken.is_none() && self.parts.iter().all(|part| part.failed.is_empty())
    }
}

/// Returns the table, and what failed below it.
pub fn table(rows: &[Row]) -> String {
    let head = [
        "kernel", "arch", "page", "hook", "passed", "failed", "skipped",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    let mut notes = String::new();
    for row in rows {
        let page = match row.page_size {
            0 => "-".to_owned(),
            bytes => format!("{} KiB", bytes / 1024),
        };
        for part in &row.parts {
            lines.push([
                row.kernel.clone(),
                row.arch.clone(),
                page.clone(),
                part.name.clone(),
                part.passed.to_string(),
                part.failed.len().to_string(),
                part.skipped.to_string(),
            ]);
            for (test, why) in &part.failed {
                let why = why.replace('\n', "\n    ");
                let _ = writeln!(
                    notes,
                    "FAILED {} {} {test}\n    {why}",
                    row.kernel, part.name
                );
            }
        }
        if row.parts.is_empty() {
            let rest = match row.broken {
                Some(_) => "broken",
                None => "built",
            };
            let dash = || "-".to_owned();
            let arch = row.arch.clone();
            let line = [row.kernel.clone(), arch, page, rest.to_owned()];
            let [kernel, arch, page, rest] = line;
            lines.push([kernel, arch, page, rest, dash(), dash(), dash()]);
        }
        if let Some(why) = &row.broken {
            let why = why.replace('\n', "\n    ");
            let _ = writeln!(notes, "BROKEN {}\n    {why}", row.kernel);
        }
    }
    columns(&lines) + &notes
}

/// Lays lines out in columns.
fn columns<const N: usize>(lines: &[[String; N]]) -> String {
    let mut text = String::new();
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            let width = lines.iter().map(|line| line[column].chars().count()).max();
            let _ = write!(text, "{cell:width$}  ", width = width.unwrap_or(0));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kernel: &str, broken: Option<&str>, parts: Vec<Part>) -> Row {
        Row {
            kernel: kernel.into(),
            digest: 1,
            arch: "x86_64".into(),
            page_size: if parts.is_empty() { 0 } else { 4096 },
            broken: broken.map(str::to_owned),
            parts,
        }
    }

    #[test]
    fn failures_and_broken_kernels_are_in_the_table_and_below() {
        let failed = vec![("fork".to_owned(), "a\nb".to_owned())];
        let part = Part {
            name: "mmap".into(),
            passed: 12,
            skipped: 3,
            failed,
        };
        let rows = [
            row("7.2.12", None, vec![part]),
            row("7.3.4-rt", Some("no module"), vec![]),
        ];
        assert!(rows.iter().all(|row| !row.is_good()));
        let expected = "\
kernel    arch    page   hook    passed  failed  skipped
7.2.12    x86_64  4 KiB  mmap    12      1       3
7.3.4-rt  x86_64  -      broken  -       -       -
FAILED 7.2.12 mmap fork
    a
    b
BROKEN 7.3.4-rt
    no module
";
        assert_eq!(table(&rows), expected);
    }
}
