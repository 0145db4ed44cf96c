// SPDX-License-Identifier: GPL-2.0
//! What was measured: `build/bench/results.json`.

use super::bars::{self, Judged};
use anyhow::{Context, Result};
use rmmap_bench::{Object, Record, Workload};
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
    /// Whether it was the short form.
    pub quick: bool,
    /// Every measurement.
    pub records: Vec<Record>,
    /// What of them is asked to be so.
    pub bars: Vec<Judged>,
}

impl Results {
    /// Results that are not judged yet.
    pub fn new(kernel: String, quick: bool, records: Vec<Record>) -> Self {
        Self {
            kernel,
            quick,
            records,
            bars: Vec::new(),
        }
    }

    /// Judges them.
    pub fn judged(mut self) -> Self {
        self.bars = bars::judge(&self);
        self
    }

    /// Reads those of the last run.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read(&path)
            .with_context(|| format!("cannot read {}: run `make bench` first", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `make bench` writes", path.display()))
    }

    /// Writes them, whole or not at all.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let part = folder.join("results.part");
        fs::write(&part, serde_json::to_vec_pretty(self)?)?;
        Ok(fs::rename(part, folder.join(FILE))?)
    }

    /// What a workload of one thread costs on an object.
    pub fn find(&self, object: Object, workload: Workload, size: usize) -> Option<&Record> {
        self.find_named(&object.name(), &workload.name(), size, 1)
    }

    /// The same by names, of any number of threads.
    pub fn find_named(
        &self,
        object: &str,
        workload: &str,
        size: usize,
        threads: u32,
    ) -> Option<&Record> {
        self.records.iter().find(|record| {
            record.object == object
                && record.workload == workload
                && record.size == size as u64
                && record.threads == threads
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rmmap_bench::Unit;

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
            memory: Some(1.0),
            samples: vec![per_page],
        }
    }

    #[test]
    fn results_survive_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let record = record("memfd", "populate", 4096, 5.0);
        let results = Results::new("7.3".into(), true, vec![record]);
        results.write(dir.path()).unwrap();
        let read = Results::read(dir.path()).unwrap();
        assert_eq!(read.records, results.records);
        let found = read.find(Object::Memfd, Workload::Populate, 4096);
        assert_eq!(found.unwrap().per_page, 5.0);
        assert!(read.find(Object::Memfd, Workload::Populate, 8192).is_none());
    }

    #[test]
    fn a_missing_run_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let error = Results::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("run `make bench` first"), "{error}");
    }
}
