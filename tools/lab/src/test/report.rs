// SPDX-License-Identifier: GPL-2.0

//! The report of a test run for people, and the file for programs.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::args::KernelKind;
use super::record::{Outcome, Record, Tally};

/// The number of lines of a failure's message that are shown; the file has all of them.
const SHOWN: usize = 15;
/// The column in which a part's name ends.
const WIDTH: usize = 30;

/// The interval of the report's progress lines for a part.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The records of a run, shown as they arrive and kept in a file. Several threads may report, each
/// about its own parts; their output is not mixed within a line.
pub struct Report<W> {
    file: PathBuf,
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    records: Vec<Record>,
    parts: Vec<Part>,
}

/// A part that has begun.
struct Part {
    name: String,
    begun: Instant,
    /// The time of its last output.
    shown: Instant,
    /// The number of its tests; 0 if unknown.
    of: usize,
    tally: Tally,
}

impl<W: Write> Report<W> {
    /// Begins a report: shown on `out`, kept in `file`.
    pub fn new(file: PathBuf, out: W) -> Result<Self> {
        let state = State {
            out,
            records: Vec::new(),
            parts: Vec::new(),
        };
        let report = Self {
            file,
            state: Mutex::new(state),
        };
        // However this run ends, the last run's results must not look like this one's.
        report.save(&report.lock())?;
        Ok(report)
    }

    /// Announces a part of the run with `of` tests; 0 if the number is unknown.
    pub fn begin(&self, part: &str, of: usize) -> io::Result<()> {
        let now = Instant::now();
        let mut state = self.lock();
        state.parts.push(Part {
            name: part.to_owned(),
            begun: now,
            shown: now,
            of,
            tally: Tally::default(),
        });
        writeln!(state.out, "{part:<WIDTH$} ...")?;
        state.out.flush()
    }

    /// Adds a record of a part. Shows a failure immediately, with the command that repeats it.
    pub fn add(&self, part: &str, record: Record) -> io::Result<()> {
        let mut state = self.lock();
        let State {
            out,
            records,
            parts,
        } = &mut *state;
        if record.outcome == Outcome::Fail {
            self.show_failure(out, &record)?;
        }
        if let Some(part) = parts.iter_mut().find(|known| known.name == part) {
            part.tally.add(record.outcome);
            if part.shown.elapsed() >= HEARTBEAT {
                part.shown = Instant::now();
                writeln!(out, "{part}")?;
                out.flush()?;
            }
        }
        records.push(record);
        Ok(())
    }

    fn show_failure(&self, out: &mut W, record: &Record) -> io::Result<()> {
        writeln!(out, "FAILED {}", record.title())?;
        let lines: Vec<&str> = record.message.lines().collect();
        for line in lines.iter().take(SHOWN) {
            writeln!(out, "    {line}")?;
        }
        if lines.len() > SHOWN {
            let more = lines.len() - SHOWN;
            writeln!(out, "    ({more} more lines in {})", self.file.display())?;
        }
        writeln!(out, "    again: {}", again(record))?;
        out.flush()
    }

    /// Prints the result of a part, and saves.
    pub fn end(&self, part: &str) -> Result<()> {
        let mut state = self.lock();
        if let Some(index) = state.parts.iter().position(|known| known.name == part) {
            let Part { begun, tally, .. } = state.parts.remove(index);
            let seconds = begun.elapsed().as_secs_f64();
            writeln!(state.out, "{part:<WIDTH$} {tally} ({seconds:.0} s)")?;
            state.out.flush()?;
        }
        self.save(&state)
    }

    /// Lists the skipped tests, saves, and prints the last line.
    pub fn finish(self) -> Result<Tally> {
        let mut state = self.lock();
        self.save(&state)?;
        let State { out, records, .. } = &mut *state;
        for record in records
            .iter()
            .filter(|record| record.outcome == Outcome::Skip)
        {
            writeln!(out, "skipped {}: {}", record.title(), record.message)?;
        }
        let tally = Tally::of(records.iter());
        writeln!(out, "{tally}")?;
        out.flush()?;
        Ok(tally)
    }

    /// Returns whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.lock().records.is_empty()
    }

    /// Locks the state. A thread that panics ends the run; the reports of the others so far are
    /// intact.
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, state: &State<W>) -> Result<()> {
        let context = || format!("cannot write {}", self.file.display());
        let part = self.file.with_extension("json.part");
        let mut text = serde_json::to_vec_pretty(&state.records)?;
        text.push(b'\n');
        fs::write(&part, text)
            .and_then(|()| fs::rename(&part, &self.file))
            .with_context(context)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.begun.elapsed().as_secs();
        write!(f, "{:<WIDTH$} ... test {}", self.name, self.tally.sum())?;
        if self.of >= self.tally.sum() {
            write!(f, " of {}", self.of)?;
        }
        write!(f, " ({seconds} s)")
    }
}

/// Returns the command that runs the test of `record` again, with as few others as possible.
fn again(record: &Record) -> String {
    let (group, name) = record.id.split_once('/').unwrap_or((&record.id, ""));
    if record.kernel == KernelKind::Coverage.to_string() {
        return format!("make coverage COVERAGE='-t {name}'");
    }
    if record.kernel == "patches" {
        return "make patches".to_owned();
    }
    let mut words = Vec::new();
    if record.kernel != "host" {
        words.push(format!("--kernel {}", record.kernel));
    }
    if let Some(hook) = &record.hook {
        words.push(format!("--hook {hook}"));
    }
    if let Some(policy) = &record.policy {
        words.push(format!("--policy {policy}"));
    }
    match group {
        "trace" => words.push(format!("--only selftest -t {name}")),
        "tutorial" | "vm" | "package" => words.push(format!("--only {group}")),
        // A reader's own failure, in parentheses, belongs to the whole report.
        "host" | "selftest" | "kunit" | "compile-fail" if name.contains('(') => {
            words.push(format!("--only {group}"));
        }
        "host" => {
            let name = name.split('/').next_back().unwrap_or(name);
            words.push(format!("--only {group} -t {name}"));
        }
        "selftest" | "kunit" | "compile-fail" => {
            words.push(format!("--only {group} -t {name}"));
        }
        _ => {}
    }
    format!("make test TESTS='{}'", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::plan::{Hook, Policy, Setting};
    use crate::test::record::Test;

    fn record(id: &str, kernel: &str, hook: Option<Hook>, outcome: Outcome) -> Record {
        let (group, name) = id.split_once('/').unwrap();
        let setting = hook.map(|hook| Setting::new(hook, Policy::Always));
        Record::new(group, kernel, setting, Test::new(name, outcome, "because"))
    }

    #[test]
    fn failures_come_with_the_command_to_repeat_them() {
        let of = |id, kernel, hook| again(&record(id, kernel, hook, Outcome::Fail));
        assert_eq!(
            of("selftest/fork", "stock", Some(Hook::Prepare)),
            "make test TESTS='--kernel stock --hook prepare --policy always --only selftest -t fork'"
        );
        assert_eq!(
            of("host/rmmap-lab/test::ktap::a", "host", None),
            "make test TESTS='--only host -t test::ktap::a'"
        );
        assert_eq!(
            of("compile-fail/unlock_twice", "host", None),
            "make test TESTS='--only compile-fail -t unlock_twice'"
        );
        assert_eq!(
            of("tutorial/9-try-it-1", "host", None),
            "make test TESTS='--only tutorial'"
        );
        assert_eq!(
            of("check/leak", "debug", Some(Hook::Mmap)),
            "make test TESTS='--kernel debug --hook mmap --policy always'"
        );
        assert_eq!(
            of("kunit/region/(2 of 3)", "debug", None),
            "make test TESTS='--kernel debug --only kunit'"
        );
        assert_eq!(
            of("selftest/fork", "coverage", Some(Hook::Mmap)),
            "make coverage COVERAGE='-t fork'"
        );
    }

    #[test]
    fn parts_that_overlap_are_counted_apart() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        let report = Report::new(folder.path().join("results.json"), &mut out).unwrap();
        report.begin("a", 3).unwrap();
        report.begin("b", 0).unwrap();
        for part in ["a", "b", "a"] {
            let record = record("selftest/x", "stock", None, Outcome::Pass);
            report.add(part, record).unwrap();
        }
        let told: Vec<_> = report.lock().parts.iter().map(Part::to_string).collect();
        assert_eq!(told[0], format!("{:<WIDTH$} ... test 2 of 3 (0 s)", "a"));
        assert_eq!(told[1], format!("{:<WIDTH$} ... test 1 (0 s)", "b"));
        report.end("a").unwrap();
        report.end("b").unwrap();
        drop(report);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[2].starts_with("a ") && lines[2].contains(" 2 passed, 0 failed"));
        assert!(lines[3].starts_with("b ") && lines[3].contains(" 1 passed, 0 failed"));
    }

    #[test]
    fn the_last_line_is_the_tally_and_the_file_has_every_record() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        fs::write(&file, "old").unwrap();
        let mut out = Vec::new();
        let report = Report::new(file.clone(), &mut out).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap().trim(), "[]");
        let part = "stock/mmap/always/selftest";
        report.begin(part, 3).unwrap();
        for (id, outcome) in [
            ("a", Outcome::Pass),
            ("b", Outcome::Fail),
            ("c", Outcome::Skip),
        ] {
            let id = format!("selftest/{id}");
            report
                .add(part, record(&id, "stock", Some(Hook::Mmap), outcome))
                .unwrap();
        }
        report.end(part).unwrap();
        let tally = report.finish().unwrap();
        assert_eq!(
            tally,
            Tally {
                passed: 1,
                failed: 1,
                skipped: 1
            }
        );
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("FAILED stock/mmap/always selftest/b\n    because\n    again: "),
            "{text}"
        );
        assert!(
            text.contains("skipped stock/mmap/always selftest/c: because\n"),
            "{text}"
        );
        assert!(
            text.ends_with("\n1 passed, 1 failed, 1 skipped\n"),
            "{text}"
        );
        let saved: Vec<Record> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(saved.len(), 3);
        assert_eq!(saved[1].id, "selftest/b");
    }
}
