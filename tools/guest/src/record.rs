// SPDX-License-Identifier: GPL-2.0

//! What is kept of a test: one record, whatever ran it.

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
    /// It ran and its property did not hold, or it never gave a result.
    Fail,
    /// It could not run here; the message says why.
    Skip,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What a reader of reports knows of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The suites it is in, joined by `/`, then its own name.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How many milliseconds it took, when that was said.
    pub ms: Option<u64>,
    /// The rows of the mmap path that it is of.
    pub rows: Vec<String>,
    /// Why it failed or was skipped; empty when it passed.
    pub message: String,
}

impl Test {
    /// One that ended so.
    pub fn new(name: &str, outcome: Outcome, message: &str) -> Self {
        Self {
            name: name.to_owned(),
            outcome,
            ms: None,
            rows: Vec::new(),
            message: message.to_owned(),
        }
    }

    /// One that began then and ends now: it passed, when there is no reason why not.
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
    /// `vm/NAME`, `tutorial/STEP` or `check/WHAT`. Together with `kernel`, `hook` and `policy` it is
    /// unique in a run, but for what is looked at in each boot of a kernel.
    pub id: String,
    /// `host`, `stock` or `debug`.
    pub kernel: String,
    /// `mmap` or `prepare`: the hook that the module was loaded with; none where that is no matter.
    pub hook: Option<String>,
    /// `never`, `adaptive` or `always`: the folio policy that it was loaded with; none as above.
    #[serde(default)]
    pub policy: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub ms: u64,
    /// The rows of the mmap path that it is a test of, `MK-05`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// Why it failed or was skipped; empty when it passed.
    pub message: String,
}

impl Record {
    /// That of a test of `group` on `kernel`, where the module was loaded with `setting`.
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

    /// `stock/prepare/never`: the kernel, and how the module was loaded.
    pub fn run(&self) -> String {
        let setting = self.hook.iter().chain(&self.policy);
        setting.fold(self.kernel.clone(), |run, word| run + "/" + word)
    }

    /// `stock/prepare/never selftest/fork`: how a person names the record.
    pub fn title(&self) -> String {
        format!("{} {}", self.run(), self.id)
    }
}

/// How many tests ended which way.
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

    /// How many there are.
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
