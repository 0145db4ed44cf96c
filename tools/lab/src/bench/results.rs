// SPDX-License-Identifier: GPL-2.0
//! The measurements: `build/bench/results.json`.

use anyhow::{Context, Result};
use rmmap_bench::{Object, Record, Unit, Workload};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// The file's name.
const FILE: &str = "results.json";

/// A run of the benchmark.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// Version of the kernel.
    pub kernel: String,
    /// The measured commit; none if there were uncommitted changes.
    pub commit: Option<String>,
    /// The seed of the order of measurements.
    pub seed: u64,
    /// Whether it was a short run.
    pub quick: bool,
    /// Every measurement.
    pub records: Vec<Record>,
    /// The performance targets, judged.
    pub bars: Vec<Judged>,
}

/// Whether a target is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is missed; these come first.
    Missed,
    /// A figure is missing, or other load disturbed the measurement.
    Inconclusive,
    /// It is met.
    Met,
}

/// The result of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The compared figure.
    pub name: String,
    /// The setting of `init_on_alloc` under which it was measured, if that matters.
    pub init_on_alloc: Option<bool>,
    /// Our figure, the peer's figure and its name.
    pub figures: Option<(f64, f64, String)>,
    /// The value to compare with the limit.
    pub ratio: Option<f64>,
    /// The limit.
    pub limit: String,
    /// The judgement.
    pub verdict: Verdict,
}

/// Judges a ratio, `("at most", limit)` or `("at least", limit)`.
pub fn ratio(name: String, ratio: Option<f64>, (word, limit): (&str, f64)) -> Judged {
    let met = ratio.map(|ratio| match word {
        "at most" => ratio <= limit,
        _ => ratio >= limit,
    });
    Judged {
        name,
        init_on_alloc: None,
        figures: None,
        ratio,
        limit: format!("{word} {limit:.2}"),
        verdict: match met {
            Some(true) => Verdict::Met,
            Some(false) => Verdict::Missed,
            None => Verdict::Inconclusive,
        },
    }
}

impl Results {
    /// Reads the results of the last run.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read(&path)
            .with_context(|| format!("cannot read {}: run `make bench` first", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `make bench` writes", path.display()))
    }

    /// Writes them atomically.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let part = folder.join("results.part");
        fs::write(&part, serde_json::to_vec_pretty(self)?)?;
        Ok(fs::rename(part, folder.join(FILE))?)
    }

    /// Takes over the records of an earlier run that this one did not measure, if that run measured
    /// the same commit in the same way.
    pub fn complete(&mut self, earlier: Results, unit: Unit) -> bool {
        let same = self.commit.is_some()
            && (&self.commit, &self.kernel, self.quick)
                == (&earlier.commit, &earlier.kernel, earlier.quick);
        if same {
            let others = earlier.records.into_iter();
            self.records
                .extend(others.filter(|record| record.unit != unit));
        }
        same
    }

    /// Returns the cost of a workload of one thread on an object under a setting of
    /// `init_on_alloc`.
    pub fn find(
        &self,
        on: bool,
        object: Object,
        workload: Workload,
        size: usize,
    ) -> Option<&Record> {
        let (object, workload) = (object.name(), workload.name());
        self.counted(on).find(|record| {
            record.object == object && record.workload == workload && record.size == size as u64
        })
    }

    /// Returns all records in instructions under a setting of `init_on_alloc`.
    pub fn counted(&self, on: bool) -> impl Iterator<Item = &Record> {
        let counted = |record: &&Record| record.unit == Unit::Instructions;
        let records = self.records.iter().filter(counted);
        records.filter(move |record| record.init_on_alloc == Some(on))
    }

    /// Returns all records in time.
    pub fn timed(&self) -> impl Iterator<Item = &Record> {
        let records = self.records.iter();
        records.filter(|record| record.unit == Unit::Nanoseconds)
    }

    /// Returns the threads' accesses to lines that they share.
    pub fn shared(&self, object: Object, workload: &str, threads: usize) -> Option<&Record> {
        let object = object.name();
        self.records.iter().find(|record| {
            record.unit == Unit::Accesses
                && record.object == object
                && record.workload == workload
                && record.threads as usize == threads
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a record with `init_on_alloc=0`, whose zeroing costs 4000.
    pub fn record(object: &str, workload: &str, size: usize, per_page: f64) -> Record {
        Record {
            object: object.into(),
            workload: workload.into(),
            size: size as u64,
            threads: 1,
            unit: Unit::Instructions,
            pages: size as u64 / 4096,
            per_page,
            zeroing: 4000.0,
            init_on_alloc: Some(false),
            memory: Some(1.0),
            faults: Some(1.0),
            latency: None,
            samples: vec![per_page],
            places: Vec::new(),
        }
    }

    /// Makes the results of a full run, not judged.
    pub fn results(records: Vec<Record>) -> Results {
        Results {
            kernel: "7.3.4".into(),
            commit: Some("c0ffee".into()),
            seed: 7,
            quick: false,
            records,
            bars: Vec::new(),
        }
    }

    #[test]
    fn results_survive_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let results = results(vec![record("memfd", "populate", 4096, 5.0)]);
        results.write(dir.path()).unwrap();
        let read = Results::read(dir.path()).unwrap();
        assert_eq!(read.records, results.records);
        let find = |on, size| read.find(on, Object::Memfd, Workload::Populate, size);
        assert_eq!(find(false, 4096).unwrap().per_page, 5.0);
        assert!(find(false, 8192).is_none() && find(true, 4096).is_none());
    }

    #[test]
    fn a_missing_run_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let error = Results::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("run `make bench` first"), "{error}");
    }

    #[test]
    fn records_of_different_commits_are_not_mixed() {
        let earlier = || {
            let timed = Record {
                unit: Unit::Nanoseconds,
                ..record("rmmap", "seq-write", 4096, 1.0)
            };
            results(vec![timed, record("rmmap", "seq-write", 4096, 9.0)])
        };
        let mut same = results(vec![record("rmmap", "seq-write", 4096, 5.0)]);
        assert!(same.complete(earlier(), Unit::Instructions));
        assert_eq!(same.records.len(), 2);
        assert_eq!(same.timed().count(), 1);
        for commit in [Some("other".to_owned()), None] {
            let mut other = results(vec![]);
            let mut earlier = earlier();
            other.commit = commit.clone();
            // Uncommitted changes have no name, so two such runs may differ.
            if commit.is_none() {
                earlier.commit = None;
            }
            assert!(!other.complete(earlier, Unit::Instructions));
            assert!(other.records.is_empty());
        }
    }
}
