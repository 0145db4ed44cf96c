// SPDX-License-Identifier: GPL-2.0
//! The outcomes of the tests of the path: a summary of a run that is small enough to keep.

use super::table::Table;
use crate::test::origin::Origin;
use crate::test::Record;
use anyhow::{bail, ensure, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The beginning of the file.
const HEAD: &str = "\
# SPDX\x2dLicense-Identifier: GPL-2.0
#
# How the tests of the mmap path ended in a run, written by `tools/lab/lab mmap-path --record`.
";

/// Longest line with names.
const WIDTH: usize = 100;

/// The summary: the outcome of each test in each run.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// The tested commit.
    pub commit: String,
    /// Git's name of its tree `rust/`.
    pub rust: String,
    /// The version of the stock kernel.
    pub kernel: String,
    /// `stock/mmap/never`: a kernel, a hook and a policy.
    runs: Vec<String>,
    /// The full names of the tests that passed in all runs.
    passed: BTreeSet<String>,
    /// The outcomes of the others, by full name: in each run `pass`, `fail` or `skip: why`.
    #[serde(default)]
    others: BTreeMap<String, Vec<String>>,
}

impl Outcomes {
    /// Reads the summary.
    pub fn parse(text: &str) -> Result<Self> {
        let outcomes: Self = toml::from_str(text)?;
        for (name, ends) in &outcomes.others {
            ensure!(
                ends.len() == outcomes.runs.len(),
                "{name} has {} outcomes of {} runs",
                ends.len(),
                outcomes.runs.len()
            );
        }
        Ok(outcomes)
    }

    /// Makes it from the `results.json` that `origin` describes, with only the tests of rows. All
    /// of them must have results in all runs.
    pub fn of_results(results: &str, origin: &Origin, table: &Table) -> Result<Self> {
        origin.is_fit()?;
        let records: Vec<Record> = serde_json::from_str(results)?;
        let names = table.tests.iter().flat_map(|test| &test.variants);
        let known: BTreeSet<&str> = names.map(String::as_str).collect();
        let mut ends: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut runs = Vec::new();
        for record in records {
            let Some(name) = record.id.strip_prefix("selftest/") else {
                continue;
            };
            if !known.contains(name) {
                continue;
            }
            let run = record.run();
            if !runs.contains(&run) {
                runs.push(run.clone());
            }
            let mut end = record.outcome.to_string();
            if end == "skip" {
                end = format!("skip: {}", record.message.trim());
            }
            ends.entry(name.to_owned()).or_default().insert(run, end);
        }
        ensure!(!runs.is_empty(), "no test of the mmap path in the results");
        for name in known {
            let missing =
                |run: &&String| !ends.get(name).is_some_and(|ends| ends.contains_key(*run));
            if let Some(run) = runs.iter().find(missing) {
                bail!("{name} has no result of {run}: the run did not finish");
            }
        }
        let mut passed = BTreeSet::new();
        let mut others = BTreeMap::new();
        for (name, mut ends) in ends {
            let end = |run| ends.remove(run).unwrap_or_default();
            let ends: Vec<String> = runs.iter().map(end).collect();
            if ends.iter().all(|end| end == "pass") {
                passed.insert(name);
            } else {
                others.insert(name, ends);
            }
        }
        Ok(Self {
            commit: origin.commit.clone(),
            rust: origin.rust.clone(),
            kernel: origin.kernel.clone(),
            passed,
            others,
            runs,
        })
    }

    /// Returns the summary as TOML.
    pub fn render(&self) -> Result<String> {
        let mut text = String::from(HEAD);
        // Strings and lists of strings look the same in both languages.
        let fields = [
            ("commit", &self.commit),
            ("rust", &self.rust),
            ("kernel", &self.kernel),
        ];
        text.push('\n');
        for (name, value) in fields {
            writeln!(text, "{name} = {}", serde_json::to_string(value)?)?;
        }
        writeln!(text, "runs = {}", serde_json::to_string(&self.runs)?)?;
        writeln!(text, "passed = [")?;
        let mut line = String::new();
        for name in &self.passed {
            let word = serde_json::to_string(name)? + ",";
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
                writeln!(text, "{line}")?;
                line.clear();
            }
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(&word);
        }
        writeln!(text, "{line}\n]\n\n[others]")?;
        for (name, ends) in &self.others {
            let (name, ends) = (serde_json::to_string(name)?, serde_json::to_string(ends)?);
            writeln!(text, "{name} = {ends}")?;
        }
        Ok(text)
    }

    /// Returns the number of tests.
    pub fn len(&self) -> usize {
        self.passed.len() + self.others.len()
    }

    /// Returns the runs, as `stock/mmap/never`.
    pub fn runs(&self) -> &[String] {
        &self.runs
    }

    /// Returns the outcome of a test in each run.
    pub fn of<'a>(&'a self, test: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let others = self.others.get(test).map(Vec::as_slice);
        let passed = self.passed.contains(test);
        let end = move |at: usize| match passed {
            true => Some("pass"),
            false => others?.get(at).map(String::as_str),
        };
        let runs = self.runs.iter().map(String::as_str).enumerate();
        runs.filter_map(move |(at, run)| Some((run, end(at)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::example;
    use super::*;

    /// Makes a record of a test in the example table.
    fn record(name: &str, kernel: &str, hook: &str, outcome: &str, message: &str) -> String {
        format!(
            r#"{{"id":"selftest/{name}","kernel":"{kernel}","hook":"{hook}","policy":"never",
                "outcome":"{outcome}","ms":1,"message":"{message}"}}"#
        )
    }

    fn origin() -> Origin {
        Origin {
            commit: "c".into(),
            rust: "r".into(),
            kernel: "7.3.4".into(),
            clean: true,
            full: true,
        }
    }

    /// Makes the results of all tests of the example on both kernels, except for `left_out`.
    fn results(left_out: &str) -> String {
        let mut results = Vec::new();
        for name in ["perf", "kinds/region", "kinds/device"] {
            results.push(record(name, "stock", "mmap", "pass", ""));
            let (end, why) = match name {
                "kinds/device" => ("skip", "no KSM"),
                _ => ("pass", ""),
            };
            if name != left_out {
                results.push(record(name, "debug", "prepare", end, why));
            }
        }
        results.push(
            r#"{"id":"check/unload","kernel":"stock","hook":"mmap","outcome":"pass","ms":1,
                "message":""}"#
                .to_owned(),
        );
        format!("[{}]", results.join(","))
    }

    #[test]
    fn results_become_a_summary_that_can_be_read_again() {
        let outcomes = Outcomes::of_results(&results(""), &origin(), &example()).unwrap();
        let ends: Vec<_> = outcomes.of("kinds/device").collect();
        assert_eq!(
            ends,
            [
                ("stock/mmap/never", "pass"),
                ("debug/prepare/never", "skip: no KSM")
            ]
        );
        assert_eq!(outcomes.of("perf").count(), 2);
        assert_eq!(outcomes.of("unload").count(), 0);
        let again = Outcomes::parse(&outcomes.render().unwrap()).unwrap();
        assert_eq!(again, outcomes);
        assert_eq!((again.commit.as_str(), again.rust.as_str()), ("c", "r"));
    }

    #[test]
    fn a_run_that_lacks_a_test_is_refused() {
        let refused = Outcomes::of_results(&results("perf"), &origin(), &example());
        let why = refused.unwrap_err().to_string();
        assert!(
            why.starts_with("perf has no result of debug/prepare/never"),
            "{why}"
        );
        let mut part = origin();
        part.full = false;
        assert!(Outcomes::of_results(&results(""), &part, &example()).is_err());
    }

    #[test]
    fn a_damaged_summary_is_refused() {
        let head = "commit = 'c'\nrust = 'r'\nkernel = 'k'\n";
        let parse = |runs| {
            Outcomes::parse(&format!(
                "{head}passed = []\nruns = {runs}\n[others]\nx = ['fail']"
            ))
        };
        assert!(parse("['a']").is_ok());
        assert!(parse("['a', 'b']").is_err());
        assert!(Outcomes::of_results("[]", &origin(), &example()).is_err());
    }
}
