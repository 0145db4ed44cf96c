// SPDX-License-Identifier: GPL-2.0

//! Runs the test programs in the guest and makes records of their reports as they arrive.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{bail, Context, Result};

use crate::ktap::{failure, Parser, Test};
use crate::plan::{Hook, Plan, Setting};
use crate::record::Outcome;

/// The lines of standard error that are kept of a program that did not run to its end.
const LAST_WORDS: usize = 10;

/// A program that lists its tests with `--list`, and reports on those that it runs in KTAP.
pub struct Suite {
    /// The group of its tests.
    pub group: &'static str,
    program: PathBuf,
    words: Vec<String>,
    patterns: Vec<String>,
    before_unload: Option<String>,
    /// The beginning of the names of its files.
    files: String,
}

impl Suite {
    /// Makes the suite of `rmmap selftest`, with the module loaded with `setting`.
    pub fn selftest(plan: &Plan, setting: Setting) -> Result<Self> {
        let before_unload = match plan.counted {
            Some(_) => Some(save_counters(plan)?),
            None => None,
        };
        let [hook, policy] = setting.params();
        let (module, scale) = (plan.module.to_string_lossy(), plan.time_scale.to_string());
        let cycles = plan.cycles.to_string();
        let words = [
            ["selftest", "--module", &module, "--param", &hook],
            ["--param", &policy, "--kernel", &plan.kernel, "--time-scale"],
        ];
        let words = words
            .concat()
            .into_iter()
            .chain([&*scale, "--cycles", &cycles]);
        Ok(Self {
            before_unload,
            ..Self::new("selftest", plan, setting, plan.rmmap.clone(), words)
        })
    }

    /// Makes the suite of `rmmap trace`. On the debug kernel, which is ten times as slow, it tests
    /// only the module's own part.
    pub fn trace(plan: &Plan, setting: Setting, folder: &Path) -> Self {
        let hook = match setting.hook {
            Hook::Mmap => "mmap",
            Hook::Prepare => "mmap_prepare",
        };
        let (rmmap, folder) = (plan.rmmap.to_string_lossy(), folder.to_string_lossy());
        let words = ["--rmmap", &rmmap, "--hook", hook, "--folder", &folder];
        let words = words
            .into_iter()
            .chain(plan.debug_checks.then_some("--brief"));
        let program = plan.rmmap.with_file_name("rmmap-trace-test");
        Self::new("trace", plan, setting, program, words)
    }

    fn new<'a>(
        group: &'static str,
        plan: &Plan,
        setting: Setting,
        program: PathBuf,
        words: impl Iterator<Item = &'a str>,
    ) -> Self {
        let patterns = plan.patterns.iter().flat_map(|pattern| ["-t", pattern]);
        Self {
            group,
            program,
            words: words.map(str::to_owned).collect(),
            patterns: patterns.map(str::to_owned).collect(),
            before_unload: None,
            files: format!("{group}-{}", setting.file_name()),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.words)
            .args(&self.patterns)
            .stdin(Stdio::null());
        if let Some(before_unload) = &self.before_unload {
            command.env("RMMAP_BEFORE_UNLOAD", before_unload);
        }
        command
    }

    /// Lists the tests of a run.
    pub fn list(&self) -> Result<Vec<String>> {
        let output = self.command().arg("--list").output();
        let output = output.with_context(|| format!("cannot run {}", self.program.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("the list of the {} tests: {}", self.group, said.trim());
        }
        Ok(names(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Runs the tests. Passes each finished one to `sink` with its time, and keeps the report in
    /// `folder`.
    pub fn run(&self, folder: &Path, sink: &mut dyn FnMut(Test) -> Result<()>) -> Result<()> {
        let errors = folder.join(format!("{}.stderr", self.files));
        let mut report = File::create(folder.join(format!("{}.ktap", self.files)))?;
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?)
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let output = child.stdout.take().context("no pipe to the tests")?;

        let mut parser = Parser::new();
        let failed = Cell::new(false);
        let mut previous = Instant::now();
        let mut pass_on = |tests: Vec<Test>| -> Result<()> {
            for mut test in tests {
                let measured = previous.elapsed().as_millis() as u64;
                previous = Instant::now();
                failed.set(failed.get() || test.outcome == Outcome::Fail);
                test.ms.get_or_insert(measured);
                sink(test)?;
            }
            Ok(())
        };
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            // In one write, which takes milliseconds on a debug kernel.
            report.write_all(format!("{line}\n").as_bytes())?;
            pass_on(parser.line(&line))?;
        }
        pass_on(parser.finish())?;
        if let Some(why) = disagreement(child.wait()?, failed.get()) {
            let words = last_words(&errors);
            pass_on(vec![failure("(exit)", &format!("{why}\n{words}"))])?;
        }
        Ok(())
    }
}

/// Returns the names in a list: the first word of each line that is not indented.
fn names(list: &str) -> Vec<String> {
    list.lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric()))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

/// Returns the command that saves the module's counters, for a shell.
fn save_counters(plan: &Plan) -> Result<String> {
    let agent = std::env::current_exe()?.display().to_string();
    let module = plan.module.display().to_string();
    Ok(shlex::try_join([agent.as_str(), "counters", &module])?)
}

/// Returns how an exit status contradicts the report; `None` if they agree.
fn disagreement(status: ExitStatus, failed: bool) -> Option<String> {
    match (status.code(), failed) {
        (Some(0), false) | (Some(1), true) => None,
        (Some(0), true) => Some("the program exits with 0 though a test failed".into()),
        (Some(1), false) => Some("the program exits with 1 though no test failed".into()),
        _ => Some(format!("the program did not run to its end: {status}")),
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
    use super::*;
    use crate::plan::Policy;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;

    /// Runs a shell script as if it were `rmmap` and returns the tests and its arguments.
    fn run_script(body: &str) -> Vec<Test> {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("rmmap");
        fs::write(&script, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let mut tests = Vec::new();
        let mut sink = |test| {
            tests.push(test);
            Ok(())
        };
        let plan = Plan {
            patterns: vec!["fork".into()],
            cycles: 3,
            time_scale: 10.0,
            ..Plan::new("stock", Path::new("rmmap.ko"), &script)
        };
        let setting = Setting::new(Hook::Prepare, Policy::Adaptive);
        let suite = Suite::selftest(&plan, setting).unwrap();
        suite.run(folder.path(), &mut sink).unwrap();
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
