// SPDX-License-Identifier: GPL-2.0

//! The results in files, for other programs: JUnit's XML and JSON.

use crate::args::Args;
use crate::results::{Outcome, Results};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The files of the reports. They exist and are empty until the tests are over.
pub struct Files {
    json: Option<Output>,
    junit: Option<Output>,
}

/// An open file with its name.
struct Output {
    name: PathBuf,
    file: Box<dyn Write>,
}

impl Output {
    fn create(path: &Path) -> Result<Self, String> {
        let file = File::create(path).map_err(|e| cannot_write(path, &e))?;
        Ok(Self {
            name: path.to_owned(),
            file: Box::new(file),
        })
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        let written = self.file.write_all(text.as_bytes());
        let written = written.and_then(|()| self.file.flush());
        written.map_err(|e| cannot_write(&self.name, &e))
    }
}

fn cannot_write(path: &Path, e: &io::Error) -> String {
    format!("cannot write {}: {e}", path.display())
}

impl Files {
    /// Creates the files that the command line names.
    pub fn create(args: &Args) -> Result<Self, String> {
        let json = if args.json_is_on_stdout() {
            Some(Output {
                name: "standard output".into(),
                file: Box::new(io::stdout()),
            })
        } else {
            args.json.as_deref().map(Output::create).transpose()?
        };
        let junit = args.junit.as_deref().map(Output::create).transpose()?;
        Ok(Self { json, junit })
    }

    /// Writes the results to the files.
    pub fn write(mut self, results: &Results) -> Result<(), String> {
        if let Some(output) = &mut self.junit {
            let text = junit(results).to_string();
            output.write(&text.map_err(|e| format!("cannot write JUnit's XML: {e}"))?)?;
        }
        self.write_json(results)
    }

    /// Writes `what` to the file for JSON, if there is one.
    pub fn write_json<T: Serialize>(self, what: &T) -> Result<(), String> {
        let Some(mut output) = self.json else {
            return Ok(());
        };
        let text = serde_json::to_string(what).map_err(|e| format!("cannot write JSON: {e}"))?;
        output.write(&(text + "\n"))
    }
}

/// Returns the results in JUnit's form: a suite per round, a case per test. Characters that XML
/// cannot hold are left out.
pub fn junit(results: &Results) -> Report {
    let mut report = Report::new(format!("rmmap-selftest on {}", results.object));
    let rounds = results.tests.iter().map(|test| test.round).max();
    for round in 1..=rounds.unwrap_or(0) {
        let mut suite = TestSuite::new(match rounds {
            Some(1) => "rmmap-selftest".to_owned(),
            _ => format!("rmmap-selftest@{round}"),
        });
        suite.add_property(("kernel", results.kernel.as_str()));
        suite.add_property(("machine", results.machine.as_str()));
        for param in &results.params {
            suite.add_property(("param", param.as_str()));
        }
        if let Some(seed) = results.seed {
            suite.add_property(("seed", seed.to_string().as_str()));
        }
        for test in results.tests.iter().filter(|test| test.round == round) {
            let (line, kind) = (first_line(&test.message), NonSuccessKind::Failure);
            let mut status = match test.outcome {
                Outcome::Pass => TestCaseStatus::success(),
                Outcome::Fail => TestCaseStatus::non_success(kind),
                Outcome::Skip => TestCaseStatus::skipped(),
            };
            if test.outcome != Outcome::Pass {
                status.set_message(line);
            }
            if test.outcome == Outcome::Fail {
                status.set_description(test.message.as_str());
            }
            let mut case = TestCase::new(test.name.as_str(), status);
            case.set_classname(format!("rmmap-selftest.{}", results.object));
            case.set_time(Duration::from_millis(test.milliseconds));
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Record;

    fn record(name: &str, round: u32, outcome: Outcome, message: &str) -> Record {
        Record {
            name: name.into(),
            round,
            rows: vec!["MK-05"],
            about: "about it".into(),
            outcome,
            message: message.into(),
            milliseconds: 1250,
        }
    }

    /// Returns a result of each kind, and the KTAP.
    fn results() -> (Results, String) {
        let args = Args {
            shuffle: Some(9),
            ..Args::default()
        };
        let mut ktap = Vec::new();
        let mut results = Results::new(&args);
        results.kernel = "7.3.4".into();
        results.begin(3, &mut ktap).unwrap();
        for record in [
            record("a@1", 1, Outcome::Pass, ""),
            record("b@1", 1, Outcome::Fail, "1 < 2 & \"x\"\x1b[1m\0\nline 2"),
            record("c@2", 2, Outcome::Skip, "no cgroup"),
        ] {
            results.add(record, &mut ktap).unwrap();
        }
        results.end(&mut ktap).unwrap();
        (results, String::from_utf8(ktap).unwrap())
    }

    #[test]
    fn junit_has_a_suite_per_round_and_survives_control_characters() {
        let text = junit(&results().0).to_string().unwrap();
        let read = Report::deserialize_from_str(&text).unwrap();
        assert_eq!((read.tests, read.failures), (3, 1));
        let suites: Vec<_> = read.test_suites.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(suites, ["rmmap-selftest@1", "rmmap-selftest@2"]);
        let failed = &read.test_suites[0].test_cases[1];
        let TestCaseStatus::NonSuccess {
            message,
            description,
            ..
        } = &failed.status
        else {
            panic!("{failed:?}");
        };
        assert_eq!(message.as_ref().unwrap().as_str(), "1 < 2 & \"x\"");
        let description = description.as_ref().unwrap().as_str();
        assert_eq!(description, "1 < 2 & \"x\"\nline 2");
        assert_eq!(failed.time, Some(Duration::from_millis(1250)));
        let skipped = &read.test_suites[1].test_cases[0].status;
        assert!(matches!(skipped, TestCaseStatus::Skipped { .. }));
        let seed = &read.test_suites[0].properties[2];
        assert_eq!((seed.name.as_str(), seed.value.as_str()), ("seed", "9"));
    }

    #[test]
    fn json_names_tests_outcomes_and_sums() {
        let text = serde_json::to_string(&results().0).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["failed"], 1);
        assert_eq!(value["kernel"], "7.3.4");
        assert_eq!(value["seed"], 9);
        let outcomes: Vec<_> = (0..3).map(|n| &value["tests"][n]["outcome"]).collect();
        assert_eq!(outcomes, ["pass", "fail", "skip"]);
        assert_eq!(value["tests"][2]["message"], "no cgroup");
        assert_eq!(value["tests"][0]["milliseconds"], 1250);
    }

    #[test]
    fn ktap_keeps_its_plan_and_numbers() {
        let lines = [
            "KTAP version 1",
            "1..3",
            "# shuffled: --shuffle 9 repeats this order",
            "# time a@1 1250",
            "# rows a@1 MK-05",
            "ok 1 a@1",
            "# time b@1 1250",
            "# rows b@1 MK-05",
            "# 1 < 2 & \"x\"\x1b[1m\0",
            "# line 2",
            "not ok 2 b@1",
            "# time c@2 1250",
            "# rows c@2 MK-05",
            "ok 3 c@2 # SKIP no cgroup",
            "# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0",
        ];
        assert_eq!(results().1.lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let junit = Some(folder.path().join("no/such/x.xml"));
        let args = Args {
            junit,
            ..Args::default()
        };
        let why = Files::create(&args).err().unwrap();
        assert!(why.contains("no/such/x.xml: No such file"), "{why}");
    }

    #[test]
    fn files_are_written_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        let args = Args {
            json: Some(path("x.json")),
            junit: Some(path("x.xml")),
            ..Args::default()
        };
        let files = Files::create(&args).unwrap();
        files.write(&results().0).unwrap();
        let read = |name| std::fs::read_to_string(path(name)).unwrap();
        assert!(read("x.json").ends_with("]}\n"));
        assert!(Report::deserialize_from_str(&read("x.xml")).is_ok());
    }
}
