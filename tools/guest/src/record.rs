// SPDX-License-Identifier: GPL-2.0

//! The record of a test, the same for all that run tests.

use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::plan::Setting;

/// How a test ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It ran and its property held.
    Pass,
    /// It ran and its property did not hold, or it never returned a result.
    Fail,
    /// It could not run here; the message says why.
    Skip,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A test as reports describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The suites it is in, joined by `/`, then its own name.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Its duration in milliseconds, if known.
    pub ms: Option<u64>,
    /// The rows of the mmap path that it covers.
    pub rows: Vec<String>,
    /// Why it failed or was skipped; empty when it passed.
    pub message: String,
}

impl Test {
    /// Makes a test with this outcome.
    pub fn new(name: &str, outcome: Outcome, message: &str) -> Self {
        Self {
            name: name.to_owned(),
            outcome,
            ms: None,
            rows: Vec::new(),
            message: message.to_owned(),
        }
    }

    /// Makes a test that began then and ends now: it passed unless there is a reason for a failure.
    pub fn judged(name: &str, begun: Instant, why_not: Option<&str>) -> Self {
        let outcome = match why_not {
            None => Outcome::Pass,
            Some(_) => Outcome::Fail,
        };
        Self {
            ms: Some(begun.elapsed().as_millis() as u64),
            ..Self::new(name, outcome, why_not.unwrap_or_default())
        }
    }
}

/// One test in `build/test/results.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Record {
    /// `selftest/NAME`, `trace/NAME`, `kunit/SUITE/CASE`, `host/CRATE/PATH`, `compile-fail/CASE`,
    /// `vm/NAME`, `tutorial/STEP` or `check/WHAT`. Together with `kernel`, `hook` and `policy` it
    /// is unique in a run, except for checks in each boot of a kernel.
    pub id: String,
    /// `host`, `stock` or `debug`.
    pub kernel: String,
    /// `mmap` or `prepare`: the hook that the module was loaded with; none where it does not
    /// matter.
    pub hook: Option<String>,
    /// `never`, `adaptive` or `always`: the folio policy that it was loaded with; none as above.
    #[serde(default)]
    pub policy: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub ms: u64,
    /// The rows of the mmap path that it covers, such as `MK-05`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// Why it failed or was skipped; empty when it passed.
    pub message: String,
}

impl Record {
    /// Makes the record of a test of `group` on `kernel`, where the module was loaded with
    /// `setting`.
    pub fn new(group: &str, kernel: &str, setting: Option<Setting>, test: Test) -> Self {
        Self {
            id: format!("{group}/{}", test.name),
            kernel: kernel.to_owned(),
            hook: setting.map(|setting| setting.hook.to_string()),
            policy: setting.map(|setting| setting.policy.to_string()),
            outcome: test.outcome,
            ms: test.ms.unwrap_or(0),
            rows: test.rows,
            message: test.message,
        }
    }

    /// Returns the kernel and the module's parameters, as `stock/prepare/never`.
    pub fn run(&self) -> String {
        let setting = self.hook.iter().chain(&self.policy);
        setting.fold(self.kernel.clone(), |run, word| run + "/" + word)
    }

    /// Returns the record's name for people, `stock/prepare/never selftest/fork`.
    pub fn title(&self) -> String {
        format!("{} {}", self.run(), self.id)
    }
}

/// The numbers of tests by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of passed tests.
    pub passed: usize,
    /// Number of failed tests.
    pub failed: usize,
    /// Number of skipped tests.
    pub skipped: usize,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Pass => self.passed += 1,
            Outcome::Fail => self.failed += 1,
            Outcome::Skip => self.skipped += 1,
        }
    }

    /// Returns the number of tests.
    pub fn sum(&self) -> usize {
        self.passed + self.failed + self.skipped
    }

    /// Counts a whole run.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut tally = Self::default();
        for record in records {
            tally.add(record.outcome);
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}
