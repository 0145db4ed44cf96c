// SPDX-License-Identifier: GPL-2.0

//! The kernel's part: its counters are put beside its objects, where gcov looks, and gcovr makes the
//! reports and the JSON that is read here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{bail, Context, Result};
use serde::Deserialize;

use super::function::{Function, Line};
use super::scope::Scope;
use crate::build;
use crate::project::Project;
use crate::steps::Log;
use crate::test::Covered;

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

/// Makes the reports in `build/coverage/kernel.*` and returns the functions of `scope`.
pub fn read(
    project: &Project,
    log: &mut Log,
    scope: &Scope,
    covered: &Covered,
) -> Result<Vec<Function>> {
    for file in scope.files() {
        let file = Path::new(&file).with_extension("gcda");
        let from = covered.folder.join("gcov").join(&file);
        fs::copy(&from, covered.kdir.join(&file))
            .with_context(|| format!("the guest left no {}", from.display()))?;
    }
    let out = project.build("coverage");
    let json = out.join("kernel.json");
    log.run(&mut gcovr(scope, covered, &out, &json)?)?;
    let text = fs::read(&json)?;
    let report: Report = serde_json::from_slice(&text).context("cannot read gcovr's JSON")?;
    pick(&report, scope, &covered.source)
}

fn gcovr(scope: &Scope, covered: &Covered, out: &Path, json: &Path) -> Result<Command> {
    let html = out.join("kernel");
    fs::create_dir_all(&html)?;
    // It takes functions whose names begin with two underscores for the compiler's. One function of a
    // name in each of several configurations is not our case, but static inline functions of headers
    // are; and a counter that wrapped is worth no failure.
    let mut gcovr = Command::new(build::GCOVR);
    let words = "--gcov-executable gcov-14 --include-internal-functions \
                 --merge-mode-functions separate \
                 --gcov-ignore-parse-errors suspicious_hits.warn_once_per_file";
    gcovr.args(words.split_whitespace());
    // From where the compiler ran: paths in its notes are relative to that.
    gcovr.current_dir(&covered.kdir);
    gcovr.arg("--root").arg(&covered.source);
    for file in scope.files() {
        let path = covered.source.join(file).display().to_string();
        gcovr.arg("--filter").arg(escaped(&path));
    }
    gcovr.arg("--json").arg(json);
    gcovr.arg("--txt").arg(out.join("kernel.txt"));
    gcovr.arg("--html-details").arg(html.join("index.html"));
    let mut folders = scope.files();
    for folder in &mut folders {
        let parent = Path::new(folder.as_str()).parent().unwrap_or(Path::new(""));
        *folder = covered.kdir.join(parent).display().to_string();
    }
    folders.dedup();
    gcovr.args(folders);
    Ok(gcovr)
}

/// A path as a regular expression that means nothing else.
fn escaped(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_-".contains(c);
    path.chars()
        .flat_map(|c| (!is_plain(c)).then_some('\\').into_iter().chain([c]))
        .collect()
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
    fn a_version_in_a_path_is_no_expression() {
        assert_eq!(escaped("/k/7.3.4+deb13/mm_a"), r"/k/7\.3\.4\+deb13/mm_a");
    }

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
