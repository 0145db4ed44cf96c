// SPDX-License-Identifier: GPL-2.0

//! The results of the tests, and their form as [KTAP], which is printed as tests end.
//!
//! [KTAP]: https://docs.kernel.org/dev-tools/ktap.html

use crate::args::{Args, Object};
use crate::entry::Entry;
use crate::outcome::{Result, Stop};
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;

/// The outcome of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It passed.
    Pass,
    /// It failed.
    Fail,
    /// It cannot run here.
    Skip,
}

/// The result of one test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its name, with `@ROUND` when there are several rounds.
    pub name: String,
    /// The round, from 1.
    pub round: u32,
    /// The rows of the mmap path that it covers.
    pub rows: Vec<&'static str>,
    /// Its description, one line.
    pub about: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// Why it failed or was skipped; may have several lines.
    pub message: String,
    /// Its duration.
    pub milliseconds: u64,
}

impl Record {
    /// Creates the record of the test of `entry`.
    pub fn new(name: String, round: u32, entry: &Entry, result: Result, time: Duration) -> Self {
        let (outcome, message) = match result {
            Ok(()) => (Outcome::Pass, String::new()),
            Err(Stop::Fail(why)) => (Outcome::Fail, why),
            Err(Stop::Skip(why)) => (Outcome::Skip, why),
        };
        Self {
            name,
            round,
            rows: entry.rows(),
            about: entry.about(),
            outcome,
            message,
            milliseconds: time.as_millis().try_into().unwrap_or(u64::MAX),
        }
    }
}

/// The results of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Results {
    /// The object under test: `rmmap` or `memfd`.
    pub object: &'static str,
    /// The kernel's release (`uname -r`).
    pub kernel: String,
    /// The machine's architecture (`uname -m`).
    pub machine: String,
    /// The parameters that the module was loaded with.
    pub params: Vec<String>,
    /// The seed of the order of the tests.
    pub seed: Option<u64>,
    /// The number of tests that passed.
    pub passed: u32,
    /// The number that failed.
    pub failed: u32,
    /// The number that were skipped.
    pub skipped: u32,
    /// The tests, in the order in which they ran.
    pub tests: Vec<Record>,
}

impl Results {
    /// Returns the results of a run that has not begun.
    pub fn new(args: &Args) -> Self {
        let uname = rmmap_sys::rustix::system::uname();
        Self {
            object: match args.object {
                Object::Rmmap => "rmmap",
                Object::Memfd => "memfd",
            },
            kernel: uname.release().to_string_lossy().into_owned(),
            machine: uname.machine().to_string_lossy().into_owned(),
            params: args.param.clone(),
            seed: args.shuffle,
            passed: 0,
            failed: 0,
            skipped: 0,
            tests: Vec::new(),
        }
    }

    /// Prints the head of a report on `planned` tests.
    pub fn begin(&self, planned: usize, ktap: &mut dyn Write) -> io::Result<()> {
        writeln!(ktap, "KTAP version 1\n1..{planned}")?;
        match self.seed {
            Some(seed) => writeln!(ktap, "# shuffled: --shuffle {seed} repeats this order"),
            None => Ok(()),
        }
    }

    /// Adds a test and prints its result.
    pub fn add(&mut self, record: Record, ktap: &mut dyn Write) -> io::Result<()> {
        let (number, name) = (self.tests.len() + 1, &record.name);
        writeln!(ktap, "# time {name} {}", record.milliseconds)?;
        if !record.rows.is_empty() {
            writeln!(ktap, "# rows {name} {}", record.rows.join(" "))?;
        }
        match record.outcome {
            Outcome::Pass => {
                self.passed += 1;
                writeln!(ktap, "ok {number} {name}")?;
            }
            Outcome::Skip => {
                self.skipped += 1;
                writeln!(ktap, "ok {number} {name} # SKIP {}", record.message)?;
            }
            Outcome::Fail => {
                self.failed += 1;
                for line in record.message.lines() {
                    writeln!(ktap, "# {line}")?;
                }
                writeln!(ktap, "not ok {number} {name}")?;
            }
        }
        self.tests.push(record);
        Ok(())
    }

    /// Prints the totals.
    pub fn end(&self, ktap: &mut dyn Write) -> io::Result<()> {
        let (pass, fail, skip) = (self.passed, self.failed, self.skipped);
        writeln!(
            ktap,
            "# Totals: pass:{pass} fail:{fail} xfail:0 xpass:0 skip:{skip} error:0"
        )
    }
}
