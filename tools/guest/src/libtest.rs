// SPDX-License-Identifier: GPL-2.0

//! Reads the output of a Rust test program (libtest's text format; its JSON one is not stable).

use std::time::Instant;

use crate::ktap::{failure, Test};
use crate::record::Outcome;

/// The name of the test that stands for a whole program.
const WHOLE: &str = "(program)";

/// A reader that takes lines.
#[derive(Debug)]
pub struct Parser {
    planned: Option<usize>,
    tests: Vec<Test>,
    /// The failed test whose output is being read, as an index.
    detail: Option<usize>,
    previous: Instant,
}

impl Parser {
    /// Returns a reader for a program that starts now.
    pub fn start() -> Self {
        Self {
            planned: None,
            tests: Vec::new(),
            detail: None,
            previous: Instant::now(),
        }
    }

    /// Takes one line.
    pub fn line(&mut self, line: &str) {
        if let Some(count) = plan(line) {
            // The doc tests of several crates follow each other.
            self.planned = Some(self.planned.unwrap_or(0) + count);
        } else if let Some(mut test) = result(line) {
            test.ms = Some(self.previous.elapsed().as_millis() as u64);
            self.previous = Instant::now();
            self.tests.push(test);
        } else if let Some(name) = section(line) {
            self.detail = self.tests.iter().rposition(|test| test.name == name);
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.detail = None;
        } else if let Some(test) = self.detail.and_then(|index| self.tests.get_mut(index)) {
            if !line.trim().is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE") {
                if !test.message.is_empty() {
                    test.message.push('\n');
                }
                test.message.push_str(line);
            }
        }
    }

    /// Ends the run. `succeeded` is whether its exit status is 0; `end` describes the status.
    ///
    /// A program that reports nothing does not use libtest (`harness = false`), which begins with
    /// the number of its tests. It counts as one test, whose result is the exit status.
    pub fn finish(mut self, succeeded: bool, end: &str) -> Vec<Test> {
        let failed = self.tests.iter().any(|test| test.outcome == Outcome::Fail);
        match self.planned {
            None => {
                let why_not = (!succeeded).then_some(end);
                self.tests.push(Test::judged(WHOLE, self.previous, why_not));
            }
            Some(planned) if planned != self.tests.len() => {
                let message = format!("{} of {planned} tests reported: {end}", self.tests.len());
                self.tests.push(failure("(report)", &message));
            }
            Some(_) if succeeded == failed => {
                let message = format!("its exit status and its report disagree: {end}");
                self.tests.push(failure("(exit)", &message));
            }
            Some(_) => {}
        }
        for test in &mut self.tests {
            if test.outcome == Outcome::Fail && test.message.is_empty() {
                "it printed no reason".clone_into(&mut test.message);
            }
        }
        self.tests
    }
}

/// Parses `running 3 tests`.
fn plan(line: &str) -> Option<usize> {
    let rest = line.strip_prefix("running ")?;
    let count = rest
        .strip_suffix(" tests")
        .or_else(|| rest.strip_suffix(" test"))?;
    count.parse().ok()
}

/// Parses `test path::of::test ... ok`.
fn result(line: &str) -> Option<Test> {
    let (name, end) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let (outcome, message) = match end {
        "ok" => (Outcome::Pass, ""),
        "FAILED" => (Outcome::Fail, ""),
        _ => {
            let reason = end.strip_prefix("ignored")?;
            (
                Outcome::Skip,
                reason.strip_prefix(", ").unwrap_or("marked #[ignore]"),
            )
        }
    };
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    Some(Test::new(name, outcome, message))
}

/// Parses `---- path::of::test stdout ----`.
fn section(line: &str) -> Option<&str> {
    let name = line.strip_prefix("---- ")?.strip_suffix(" ----")?;
    Some(name.strip_suffix(" stdout").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str =
        "\nrunning 4 tests\ntest a::one ... ok\ntest a::two - should panic ... ok\n\
        test b::three ... FAILED\ntest b::four ... ignored, needs a disk\n\nfailures:\n\n\
        ---- b::three stdout ----\n\nthread 'b::three' panicked at src/b.rs:7:9:\nleft: 1\n\
        note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\n\n\
        failures:\n    b::three\n\ntest result: FAILED. 2 passed; 1 failed\n";

    fn read(report: &str, succeeded: bool) -> Vec<Test> {
        let mut parser = Parser::start();
        report.lines().for_each(|line| parser.line(line));
        parser.finish(succeeded, "exit status: 101")
    }

    #[test]
    fn outcomes_and_reasons_are_read() {
        let tests = read(REPORT, false);
        let outcomes: Vec<_> = tests
            .iter()
            .map(|test| (test.name.as_str(), test.outcome))
            .collect();
        assert_eq!(
            outcomes,
            [
                ("a::one", Outcome::Pass),
                ("a::two", Outcome::Pass),
                ("b::three", Outcome::Fail),
                ("b::four", Outcome::Skip),
            ]
        );
        assert_eq!(
            tests[2].message,
            "thread 'b::three' panicked at src/b.rs:7:9:\nleft: 1"
        );
        assert_eq!(tests[3].message, "needs a disk");
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        let cut = &REPORT[..REPORT.find("test b::three").unwrap()];
        let tests = read(cut, false);
        assert_eq!(
            tests.last().unwrap().message,
            "2 of 4 tests reported: exit status: 101"
        );
    }

    #[test]
    fn a_program_without_libtest_is_one_test() {
        assert_eq!(read("12 of 12 are fine\n", true)[0].outcome, Outcome::Pass);
        assert_eq!(read("", false)[0].outcome, Outcome::Fail);
    }

    #[test]
    fn exit_status_and_report_must_agree() {
        assert_eq!(read(REPORT, true).last().unwrap().name, "(exit)");
        let good = "running 1 test\ntest a ... ok\n";
        assert_eq!(read(good, false).last().unwrap().name, "(exit)");
        assert_eq!(read(good, true).len(), 1);
    }
}
