// SPDX-License-Identifier: GPL-2.0
//! How the tests of the path ended: a summary of a run that is small enough to be kept.

use super::table::Table;
use crate::test::Record;
use anyhow::{ensure, Context, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How the file begins.
const HEAD: &str = "\
# SPDX\x2dLicense-Identifier: GPL-2.0
#
# How the tests of the mmap path ended in a run, written by `tools/lab/lab mmap-path --record`.
";

/// The summary: of each test, how it ended in each run.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// `stock/mmap`: a kernel and a hook.
    runs: Vec<String>,
    /// By the test's full name; `pass`, `fail`, `skip: why`, or nothing if it was not run.
    tests: BTreeMap<String, Vec<String>>,
}

impl Outcomes {
    /// Reads the summary.
    pub fn parse(text: &str) -> Result<Self> {
        let outcomes: Self = toml::from_str(text)?;
        for (name, ends) in &outcomes.tests {
            ensure!(
                ends.len() == outcomes.runs.len(),
                "{name} has {} outcomes of {} runs",
                ends.len(),
                outcomes.runs.len()
            );
        }
        Ok(outcomes)
    }

    /// Makes it of `results.json`: only tests that are of a row.
    pub fn of_results(results: &str, table: &Table) -> Result<Self> {
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
            let hook = record.hook.as_deref().context("a device test has a hook")?;
            let run = format!("{}/{hook}", record.kernel);
            if !runs.contains(&run) {
                runs.push(run.clone());
            }
            let mut end = record.outcome.to_string();
            if end == "skip" {
                end = format!("skip: {}", record.message.trim());
            }
            ends.entry(name.to_owned()).or_default().insert(run, end);
        }
        ensure!(!runs.is_empty(), "no test of the mmap path is in there");
        let line = |mut ends: BTreeMap<String, String>| {
            let end = |run| ends.remove(run).unwrap_or_default();
            runs.iter().map(end).collect()
        };
        let tests = ends.into_iter().map(|(name, ends)| (name, line(ends)));
        Ok(Self {
            tests: tests.collect(),
            runs: runs.clone(),
        })
    }

    /// The summary as TOML, a line per test.
    pub fn render(&self) -> Result<String> {
        let mut text = String::from(HEAD);
        // Strings and lists of them look the same in both languages.
        writeln!(text, "\nruns = {}", serde_json::to_string(&self.runs)?)?;
        writeln!(text, "\n[tests]")?;
        for (name, ends) in &self.tests {
            let (name, ends) = (serde_json::to_string(name)?, serde_json::to_string(ends)?);
            writeln!(text, "{name} = {ends}")?;
        }
        Ok(text)
    }

    /// How many tests it knows.
    pub fn len(&self) -> usize {
        self.tests.len()
    }

    /// The runs, as `stock/mmap`.
    pub fn runs(&self) -> &[String] {
        &self.runs
    }

    /// How a test ended in each run that it was in.
    pub fn of<'a>(&'a self, test: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let ends = self.tests.get(test).map(Vec::as_slice).unwrap_or_default();
        let runs = self.runs.iter().map(String::as_str);
        runs.zip(ends.iter().map(String::as_str))
            .filter(|(_, end)| !end.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::example;
    use super::*;

    /// A record of a test that is in the example of a table.
    fn record(kernel: &str, hook: &str, outcome: &str, message: &str) -> String {
        format!(
            r#"{{"id":"selftest/kinds/device","kernel":"{kernel}","hook":"{hook}",
                "outcome":"{outcome}","ms":1,"message":"{message}"}}"#
        )
    }

    #[test]
    fn results_become_a_summary_that_can_be_read_again() {
        let results = [
            record("stock", "mmap", "pass", ""),
            record("stock", "prepare", "fail", "why"),
            record("debug", "mmap", "skip", "no KSM"),
            r#"{"id":"check/unload","kernel":"stock","hook":"mmap","outcome":"pass","ms":1,
                "message":""}"#
                .to_owned(),
        ];
        let outcomes =
            Outcomes::of_results(&format!("[{}]", results.join(",")), &example()).unwrap();
        let ends: Vec<_> = outcomes.of("kinds/device").collect();
        assert_eq!(
            ends,
            [
                ("stock/mmap", "pass"),
                ("stock/prepare", "fail"),
                ("debug/mmap", "skip: no KSM")
            ]
        );
        assert_eq!(outcomes.of("unload").count(), 0);
        let again = Outcomes::parse(&outcomes.render().unwrap()).unwrap();
        assert_eq!(again, outcomes);
    }

    #[test]
    fn a_damaged_summary_is_refused() {
        assert!(Outcomes::parse("runs = ['a', 'b']\ntests = {x = ['pass']}").is_err());
        assert!(Outcomes::of_results("[]", &example()).is_err());
    }
}
