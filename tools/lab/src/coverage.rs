// SPDX-License-Identifier: GPL-2.0

//! `make coverage`: the lines and branches of the mmap path that the device tests run.
//!
//! gcov counts the kernel's part; the lab puts the counters next to the objects, where gcov looks,
//! and gcovr reports them. The module's part is LLVM's source-based coverage. `tools/coverage`
//! reads and explains both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};
use rmmap_coverage::function::Function;
use rmmap_coverage::scope::Scope;
use rmmap_coverage::why::{self, Explained, Reasons};
use rmmap_coverage::{gcovr, lcov, summary};

use crate::build;
use crate::project::Project;
use crate::steps::{command, Log, Steps};
use crate::test::{self, Covered, Hook};

/// Exit status: a line never ran and has no reason.
const UNEXPLAINED: u8 = 1;

/// Show which lines of the mmap path the device tests run.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Run only tests whose name contains PATTERN; may be given more than once. Lines that did not
    /// run need no reason then.
    #[arg(short = 't', long = "test", value_name = "PATTERN")]
    patterns: Vec<String>,

    /// Run the tests with this hook only.
    #[arg(long, value_enum)]
    hook: Option<Hook>,
}

impl Args {
    fn is_all(&self) -> bool {
        self.patterns.is_empty() && self.hook.is_none()
    }
}

/// Builds, runs, reports. Returns the exit status.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    let scope: Scope = project.toml("tools/lab/coverage.toml")?;
    let reasons: Reasons = project.toml("tools/lab/coverage-why.toml")?;
    let covered = test::coverage(project, &args.patterns, args.hook, &scope.files())?;
    let functions = evaluate(project, &scope, &covered)?;
    let explained = why::explain(&functions, &reasons.line);
    let out = project.build("coverage");
    fs::write(out.join("summary.json"), summary::json(&functions))?;
    fs::write(out.join("summary.txt"), summary::table(&functions))?;
    summary::print(&functions, &explained, args.is_all());
    Ok(verdict(args, &covered, &explained))
}

fn evaluate(project: &Project, scope: &Scope, covered: &Covered) -> Result<Vec<Function>> {
    let steps = Steps::begin(project)?;
    let mut functions = Vec::new();
    steps.always("reading the kernel's counters", |log| {
        functions.extend(kernel(project, log, scope, covered)?);
        Ok(())
    })?;
    steps.always("reading the module's counters", |log| {
        functions.extend(module(project, log, covered)?);
        Ok(())
    })?;
    Ok(functions)
}

/// Returns the exit status. A failed test takes precedence over a line without a reason, which may
/// be its result.
fn verdict(args: &Args, covered: &Covered, explained: &Explained) -> u8 {
    match covered.status {
        0 if args.is_all() && !explained.is_complete() => UNEXPLAINED,
        status => status,
    }
}

/// Makes the reports in `build/coverage/kernel.*` and returns the functions of `scope`.
fn kernel(
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
    log.run(&mut gcovr_command(scope, covered, &out, &json)?)?;
    let text = fs::read(&json)?;
    gcovr::functions(&text, scope, &covered.source)
}

fn gcovr_command(scope: &Scope, covered: &Covered, out: &Path, json: &Path) -> Result<Command> {
    let html = out.join("kernel");
    fs::create_dir_all(&html)?;
    // By default gcovr excludes functions whose names begin with two underscores as the compiler's.
    // Static inline functions of headers occur several times under one name. A counter that wrapped
    // is no reason to fail.
    let mut gcovr = Command::new(build::GCOVR);
    let words = "--gcov-executable gcov-14 --include-internal-functions \
                 --merge-mode-functions separate \
                 --gcov-ignore-parse-errors suspicious_hits.warn_once_per_file";
    gcovr.args(words.split_whitespace());
    // Run it in the compiler's folder: paths in its notes are relative to that.
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

/// Returns a regular expression that matches exactly a path.
fn escaped(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_-".contains(c);
    path.chars()
        .flat_map(|c| (!is_plain(c)).then_some('\\').into_iter().chain([c]))
        .collect()
}

/// Makes the report in `build/coverage/module` and returns the functions.
fn module(project: &Project, log: &mut Log, covered: &Covered) -> Result<Vec<Function>> {
    let out = project.build("coverage");
    let profile = out.join("module.profdata");
    let raw = raw_profiles(&covered.folder)?;
    let mut merge = command("llvm-profdata merge --output");
    log.run(merge.arg(&profile).args(raw))?;
    let of = |action: &str| {
        let mut cov = Command::new("llvm-cov");
        cov.arg(action)
            .arg(format!("--instr-profile={}", profile.display()))
            .arg(&covered.module);
        cov
    };
    let sources = lcov::FOLDERS.map(|(folder, _)| project.root().join(folder));
    let mut html = of("show");
    html.args(["--format=html", "--show-branches=count"])
        .arg(format!("--output-dir={}", out.join("module").display()));
    log.run(html.args(&sources))?;
    let report = log.output(of("export").arg("--format=lcov").args(&sources))?;
    lcov::functions(&report, project.root())
}

/// Returns the guest's files, one for each hook.
fn raw_profiles(folder: &Path) -> Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut found = paths.collect::<Result<Vec<PathBuf>>>()?;
    found.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "profraw")
    });
    if found.is_empty() {
        let folder = folder.display();
        bail!("the guest left no counters of the module in {folder}");
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_in_a_path_is_no_expression() {
        assert_eq!(escaped("/k/7.3.4+deb13/mm_a"), r"/k/7\.3\.4\+deb13/mm_a");
    }
}
