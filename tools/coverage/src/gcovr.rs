// SPDX-License-Identifier: GPL-2.0

//! The kernel's part: what gcovr made of what gcov counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{bail, Context, Result};
use serde::Deserialize;

use crate::function::{Function, Line};
use crate::scope::Scope;

/// What gcovr says.
#[derive(Debug, Deserialize)]
struct Report {
    files: Vec<ReportFile>,
}

#[derive(Debug, Deserialize)]
struct ReportFile {
    file: String,
    lines: Vec<ReportLine>,
}

#[derive(Debug, Deserialize)]
struct ReportLine {
    line_number: usize,
    #[serde(default)]
    function_name: Option<String>,
    count: u64,
    #[serde(default)]
    branches: Vec<Branch>,
}

#[derive(Debug, Deserialize)]
struct Branch {
    count: u64,
}

/// The functions of `scope` in gcovr's JSON; the kernel's source is in `source`.
pub fn functions(json: &[u8], scope: &Scope, source: &Path) -> Result<Vec<Function>> {
    let report: Report = serde_json::from_slice(json).context("cannot read gcovr's JSON")?;
    pick(&report, scope, source)
}

fn pick(report: &Report, scope: &Scope, source: &Path) -> Result<Vec<Function>> {
    let mut functions = Vec::new();
    let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, group, name, entry) in scope.functions() {
        let lines = lines_of(report, path, entry);
        if lines.is_empty() {
            bail!(
                "{path} has no code of {name}: is it called otherwise now, or compiled out? \
                 Correct tools/lab/coverage.toml"
            );
        }
        if !texts.contains_key(path) {
            let text = fs::read_to_string(source.join(path))?;
            texts.insert(path, text.lines().map(str::to_owned).collect());
        }
        functions.push(Function {
            group,
            name: name.to_owned(),
            file: path.to_owned(),
            lines,
            text: texts[path].clone(),
        });
    }
    Ok(functions)
}

/// The lines of a function; those of what was inlined into it are of their own functions.
fn lines_of(report: &Report, path: &str, entry: &str) -> BTreeMap<usize, Line> {
    let mut lines: BTreeMap<usize, Line> = BTreeMap::new();
    let files = report.files.iter().filter(|file| file.file == path);
    let all = files.flat_map(|file| &file.lines);
    for line in all.filter(|line| line.function_name.as_deref() == Some(entry)) {
        let taken = line.branches.iter().filter(|branch| branch.count > 0);
        let known = lines.entry(line.line_number).or_default();
        known.count = known.count.max(line.count);
        known.taken = known.taken.max(taken.count());
        known.branches = known.branches.max(line.branches.len());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"gcovr/format_version": "0.14", "files": [{"file": "mm/mmap.c", "lines": [
        {"line_number": 7, "function_name": "do_mmap", "count": 3,
         "branches": [{"count": 3, "fallthrough": true}, {"count": 0}]},
        {"line_number": 8, "function_name": "do_mmap", "count": 0},
        {"line_number": 8, "function_name": "do_mmap", "count": 2, "branches": []},
        {"line_number": 20, "function_name": "other", "count": 1}], "functions": []}]}"#;

    #[test]
    fn lines_belong_to_their_functions_and_copies_count_together() {
        let report: Report = serde_json::from_str(JSON).unwrap();
        let lines = lines_of(&report, "mm/mmap.c", "do_mmap");
        assert_eq!(lines.keys().collect::<Vec<_>>(), [&7, &8]);
        let first = Line {
            count: 3,
            branches: 2,
            taken: 1,
        };
        assert_eq!(lines[&7], first);
        assert_eq!(lines[&8].count, 2);
        assert!(lines_of(&report, "mm/vma.c", "do_mmap").is_empty());
    }
}
