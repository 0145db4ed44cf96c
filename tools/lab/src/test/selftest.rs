// SPDX-License-Identifier: GPL-2.0

//! Runs `rmmap selftest` and makes records of its report as it comes.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{bail, Context, Result};

use super::ktap::{failure, Parser, Test};
use super::plan::{Plan, Setting};
use super::record::Outcome;

/// Lines of its standard error that are kept when it does not run to its end.
const LAST_WORDS: usize = 10;

/// Lists the tests that a run would have.
pub fn list(plan: &Plan) -> Result<Vec<String>> {
    let output = Command::new(&plan.rmmap)
        .args(["selftest", "--list"])
        .args(patterns(plan))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", plan.rmmap.display()))?;
    if !output.status.success() {
        bail!(
            "rmmap selftest --list: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(names(&String::from_utf8_lossy(&output.stdout)))
}

/// The names in a list: the first word of each line that is not indented.
fn names(list: &str) -> Vec<String> {
    list.lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric()))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

fn patterns(plan: &Plan) -> Vec<String> {
    plan.patterns
        .iter()
        .flat_map(|pattern| ["-t".to_owned(), pattern.clone()])
        .collect()
}

/// Runs the tests. Each finished one is handed to `sink` with its time in milliseconds; the report
/// is kept in `folder`.
pub fn run(
    plan: &Plan,
    setting: Setting,
    folder: &Path,
    sink: &mut dyn FnMut(Test, u64) -> Result<()>,
) -> Result<()> {
    let errors = folder.join(format!("selftest-{}.stderr", setting.file_name()));
    let mut report = File::create(folder.join(format!("selftest-{}.ktap", setting.file_name())))?;
    let mut command = Command::new(&plan.rmmap);
    if plan.counted.is_some() {
        command.env("RMMAP_BEFORE_UNLOAD", save_counters(plan)?);
    }
    let mut child = command
        .arg("selftest")
        .arg("--module")
        .arg(&plan.module)
        .args(
            setting
                .params()
                .iter()
                .flat_map(|param| ["--param", *param]),
        )
        .args(["--kernel", &plan.kernel])
        .args(["--time-scale", &plan.time_scale.to_string()])
        .args(["--cycles", &plan.cycles.to_string()])
        .args(patterns(plan))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&errors)?)
        .spawn()
        .with_context(|| format!("cannot run {}", plan.rmmap.display()))?;
    let output = child.stdout.take().context("no pipe to rmmap selftest")?;

    let mut parser = Parser::new();
    let failed = Cell::new(false);
    let mut previous = Instant::now();
    let mut pass_on = |tests: Vec<Test>| -> Result<()> {
        for test in tests {
            let measured = previous.elapsed().as_millis() as u64;
            previous = Instant::now();
            failed.set(failed.get() || test.outcome == Outcome::Fail);
            let ms = test.ms.unwrap_or(measured);
            sink(test, ms)?;
        }
        Ok(())
    };
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        writeln!(report, "{line}")?;
        pass_on(parser.line(&line))?;
    }
    pass_on(parser.finish())?;
    let status = child.wait()?;
    if let Some(why) = disagreement(status, failed.get()) {
        let words = last_words(&errors);
        pass_on(vec![failure("(exit)", &format!("{why}\n{words}"))])?;
    }
    Ok(())
}

/// The command that saves the module's counters, for a shell.
fn save_counters(plan: &Plan) -> Result<String> {
    let agent = std::env::current_exe()?.display().to_string();
    let module = plan.module.display().to_string();
    Ok(shlex::try_join([
        agent.as_str(),
        "guest-counters",
        &module,
    ])?)
}

/// What is wrong with an exit status after this report; `None` when they agree.
fn disagreement(status: ExitStatus, failed: bool) -> Option<String> {
    match (status.code(), failed) {
        (Some(0), false) | (Some(1), true) => None,
        (Some(0), true) => Some("rmmap selftest exits with 0 though a test failed".into()),
        (Some(1), false) => Some("rmmap selftest exits with 1 though no test failed".into()),
        _ => Some(format!("rmmap selftest did not run to its end: {status}")),
    }
}

fn last_words(errors: &Path) -> String {
    let text = fs::read(errors).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Hook, Policy};
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;

    fn plan(rmmap: &Path) -> Plan {
        Plan {
            kernel: "stock".into(),
            module: "rmmap.ko".into(),
            others: Vec::new(),
            rmmap: rmmap.into(),
            settings: vec![Setting::new(Hook::Prepare, Policy::Adaptive)],
            kunit: Vec::new(),
            patterns: vec!["fork".into()],
            cycles: 3,
            time_scale: 10.0,
            debug_checks: false,
            counted: None,
        }
    }

    /// Runs a shell script as if it were `rmmap` and returns the tests and its arguments.
    fn run_script(body: &str) -> Vec<Test> {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("rmmap");
        fs::write(&script, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let mut tests = Vec::new();
        let mut sink = |test: Test, _| -> Result<()> {
            tests.push(test);
            Ok(())
        };
        let plan = plan(&script);
        run(&plan, plan.settings[0], folder.path(), &mut sink).unwrap();
        tests
    }

    #[test]
    fn a_list_may_explain_its_tests() {
        let list = "fork_shares_stores  stores are seen across fork\n    MK-02\n\nlazy_touch\n";
        assert_eq!(names(list), ["fork_shares_stores", "lazy_touch"]);
    }

    #[test]
    fn setting_limits_and_patterns_are_passed_on() {
        let tests = run_script("echo TAP version 13; echo 1..1; echo \"ok 1 $*\"");
        assert_eq!(
            tests[0].name,
            "selftest --module rmmap.ko --param prepare=1 --param policy=1 --kernel stock --time-scale 10 --cycles 3 -t fork"
        );
    }

    #[test]
    fn a_program_that_cannot_run_is_a_failure_with_its_last_words() {
        let tests = run_script("echo 'rmmap: no /dev/rmmap' >&2; exit 2");
        assert_eq!(tests.len(), 2);
        assert!(tests[1].message.contains("exit status: 2"), "{tests:?}");
        assert!(
            tests[1].message.ends_with("rmmap: no /dev/rmmap"),
            "{tests:?}"
        );
    }

    #[test]
    fn a_report_cut_off_by_a_signal_fails_twice() {
        let tests = run_script("echo KTAP version 1; echo 1..2; echo ok 1 a; kill -9 $$");
        let failed: Vec<_> = tests
            .iter()
            .filter(|test| test.outcome == Outcome::Fail)
            .collect();
        assert_eq!(failed.len(), 2);
        assert!(failed[1].message.contains("signal: 9"), "{failed:?}");
    }

    #[test]
    fn the_exit_status_must_agree_with_the_report() {
        assert_eq!(disagreement(ExitStatus::from_raw(0), false), None);
        assert_eq!(disagreement(ExitStatus::from_raw(1 << 8), true), None);
        for (raw, failed) in [(0, true), (1 << 8, false), (2 << 8, true), (9, true)] {
            assert!(disagreement(ExitStatus::from_raw(raw), failed).is_some());
        }
    }
}
