// SPDX-License-Identifier: GPL-2.0

//! What people see of a test run, and the file that programs read.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use super::args::KernelKind;
use super::record::{Outcome, Record, Tally};

/// Lines of a failure's message that are shown; the file has all of them.
const SHOWN: usize = 15;

/// The records of a run, shown as they come and kept in a file.
pub struct Report<W> {
    file: PathBuf,
    out: W,
    records: Vec<Record>,
    part: Option<(String, Instant, usize)>,
}

impl<W: Write> Report<W> {
    /// Begins a report: shown on `out`, kept in `file`.
    pub fn new(file: PathBuf, out: W) -> Result<Self> {
        let report = Self {
            file,
            out,
            records: Vec::new(),
            part: None,
        };
        // The last run's results must not be taken for this one's, however this one ends.
        report.save()?;
        Ok(report)
    }

    /// Says that a part of the run begins.
    pub fn begin(&mut self, part: &str) -> io::Result<()> {
        self.part = Some((part.to_owned(), Instant::now(), self.records.len()));
        writeln!(self.out, "{part:<24} ...")?;
        self.out.flush()
    }

    /// Adds a record; a failure is shown at once, with the command that repeats it.
    pub fn add(&mut self, record: Record) -> io::Result<()> {
        if record.outcome == Outcome::Fail {
            writeln!(self.out, "FAILED {}", record.title())?;
            let lines: Vec<&str> = record.message.lines().collect();
            for line in lines.iter().take(SHOWN) {
                writeln!(self.out, "    {line}")?;
            }
            if lines.len() > SHOWN {
                let more = lines.len() - SHOWN;
                writeln!(
                    self.out,
                    "    ({more} more lines in {})",
                    self.file.display()
                )?;
            }
            writeln!(self.out, "    again: {}", again(&record))?;
            self.out.flush()?;
        }
        self.records.push(record);
        Ok(())
    }

    /// Says how the part that began last went, and saves.
    pub fn end(&mut self) -> Result<()> {
        if let Some((part, begun, first)) = self.part.take() {
            let tally = Tally::of(&self.records[first..]);
            let seconds = begun.elapsed().as_secs_f64();
            writeln!(self.out, "{part:<24} {tally} ({seconds:.0} s)")?;
            self.out.flush()?;
        }
        self.save()
    }

    /// Lists what was skipped, saves, and prints the one last line.
    pub fn finish(mut self) -> Result<Tally> {
        self.save()?;
        for record in self
            .records
            .iter()
            .filter(|record| record.outcome == Outcome::Skip)
        {
            writeln!(self.out, "skipped {}: {}", record.title(), record.message)?;
        }
        let tally = Tally::of(&self.records);
        writeln!(self.out, "{tally}")?;
        self.out.flush()?;
        Ok(tally)
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn save(&self) -> Result<()> {
        let context = || format!("cannot write {}", self.file.display());
        let part = self.file.with_extension("json.part");
        let mut text = serde_json::to_vec_pretty(&self.records)?;
        text.push(b'\n');
        fs::write(&part, text)
            .and_then(|()| fs::rename(&part, &self.file))
            .with_context(context)
    }
}

/// The command that runs the test of `record` again, and as little else as possible.
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
    if group == "trace" {
        words.push(format!("--only selftest -t {name}"));
    }
    if group == "tutorial" {
        words.push("--only tutorial".to_owned());
    }
    if matches!(group, "host" | "selftest" | "kunit" | "compile-fail") {
        words.push(format!("--only {group}"));
        // A reader's own finding, in brackets, belongs to the whole report.
        if !name.contains('(') {
            let name = if group == "host" {
                name.split('/').last().unwrap_or(name)
            } else {
                name
            };
            words.push(format!("-t {name}"));
        }
    }
    format!("make test TESTS='{}'", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, kernel: &str, hook: Option<&str>, outcome: Outcome) -> Record {
        Record {
            id: id.into(),
            kernel: kernel.into(),
            hook: hook.map(Into::into),
            outcome,
            ms: 5,
            rows: Vec::new(),
            message: "because".into(),
        }
    }

    #[test]
    fn failures_come_with_the_command_to_repeat_them() {
        let of = |id, kernel, hook| again(&record(id, kernel, hook, Outcome::Fail));
        assert_eq!(
            of("selftest/fork", "stock", Some("prepare")),
            "make test TESTS='--kernel stock --hook prepare --only selftest -t fork'"
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
            of("check/leak", "debug", Some("mmap")),
            "make test TESTS='--kernel debug --hook mmap'"
        );
        assert_eq!(
            of("kunit/region/(2 of 3)", "debug", None),
            "make test TESTS='--kernel debug --only kunit'"
        );
        assert_eq!(
            of("selftest/fork", "coverage", Some("mmap")),
            "make coverage COVERAGE='-t fork'"
        );
    }

    #[test]
    fn the_last_line_is_the_tally_and_the_file_has_every_record() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        fs::write(&file, "old").unwrap();
        let mut out = Vec::new();
        let mut report = Report::new(file.clone(), &mut out).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap().trim(), "[]");
        report.begin("stock/mmap/selftest").unwrap();
        for (id, outcome) in [
            ("a", Outcome::Pass),
            ("b", Outcome::Fail),
            ("c", Outcome::Skip),
        ] {
            let id = format!("selftest/{id}");
            report
                .add(record(&id, "stock", Some("mmap"), outcome))
                .unwrap();
        }
        report.end().unwrap();
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
            text.contains("FAILED stock/mmap selftest/b\n    because\n    again: "),
            "{text}"
        );
        assert!(
            text.contains("skipped stock/mmap selftest/c: because\n"),
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
