// SPDX-License-Identifier: GPL-2.0

//! A measurement.

use serde::{Deserialize, Serialize};

/// The unit of a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Instructions: a nanosecond of a guest whose clock counts them (QEMU's `-icount shift=0`).
    Instructions,
    /// Nanoseconds of the system's clock.
    Nanoseconds,
    /// Accesses to lines of memory that several processors share, per fault.
    Accesses,
}

/// One workload on one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The object's name.
    pub object: String,
    /// The workload's name.
    pub workload: String,
    /// Size of the object, bytes.
    pub size: u64,
    /// The number of threads that shared the work.
    pub threads: u32,
    /// The unit of the costs.
    pub unit: Unit,
    /// The number of 4 KiB pages that the workload handles; costs are per page.
    pub pages: u64,
    /// The median of the samples, per page.
    pub per_page: f64,
    /// The cost of zeroing a page in this run, which costs include wherever memory is new.
    pub zeroing: f64,
    /// Whether the kernel zeroes pages on allocation by its command line (`init_on_alloc=`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_on_alloc: Option<bool>,
    /// Bytes of memory in use after the workload, page tables included, per byte that it handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<f64>,
    /// Page faults per page that the workload handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<f64>,
    /// The cost of a fault: the median, the 99th percentile, the maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<[u64; 3]>,
    /// All samples in the order of measurement, per page.
    pub samples: Vec<f64>,
    /// The places with most accesses to shared cache lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
}

/// Code that accesses cache lines that processors share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The function, and its callers.
    pub code: String,
    /// The object that the lines belong to, if known.
    pub data: String,
    /// Number of such lines.
    pub lines: u64,
    /// Accesses per fault.
    pub accesses: f64,
}

/// Returns the value of `init_on_alloc` on this kernel's command line.
pub fn init_on_alloc() -> Option<bool> {
    let line = std::fs::read_to_string("/proc/cmdline").ok()?;
    let mut told = line
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("init_on_alloc="));
    told.next_back().map(|value| value == "1")
}

impl Record {
    /// Returns the range of the samples, relative to their median.
    pub fn spread(&self) -> f64 {
        let most = self.samples.iter().copied().fold(f64::MIN, f64::max);
        let least = self.samples.iter().copied().fold(f64::MAX, f64::min);
        (most - least) / self.per_page
    }

    /// Returns the smallest sample if a second one confirms it (5 % apart at most): other work of
    /// the machine makes samples larger, never smaller.
    pub fn fastest(&self) -> Option<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted[..] {
            [first, second, ..] if second <= 1.05 * first => Some(first),
            _ => None,
        }
    }
}

/// Returns the median: of an even number the lower one of the two, so that it is a measured value.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

/// Returns the median, the 99th percentile and the maximum.
pub fn percentiles(mut costs: Vec<u64>) -> Option<[u64; 3]> {
    costs.sort_unstable();
    let last = costs.len().checked_sub(1)?;
    Some([last / 2, last * 99 / 100, last].map(|at| costs[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_was_measured() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn percentiles_were_measured() {
        assert_eq!(percentiles((1..=101).rev().collect()), Some([51, 100, 101]));
        assert_eq!(percentiles(vec![]), None);
    }

    fn record() -> Record {
        Record {
            object: "memfd".into(),
            workload: "populate".into(),
            size: 4096,
            threads: 1,
            unit: Unit::Instructions,
            pages: 1,
            per_page: 100.0,
            zeroing: 0.0,
            init_on_alloc: None,
            memory: None,
            faults: None,
            latency: None,
            samples: vec![103.0, 100.0, 99.0],
            places: Vec::new(),
        }
    }

    #[test]
    fn the_fastest_was_measured_twice() {
        let mut record = record();
        assert_eq!(record.fastest(), Some(99.0));
        record.samples[2] = 90.0;
        assert_eq!(record.fastest(), None);
    }

    #[test]
    fn spread_is_relative() {
        let record = record();
        assert_eq!(record.spread(), 0.04);
        let json = serde_json::to_string(&record).unwrap();
        assert!(
            json.contains(r#""unit":"instructions""#) && !json.contains("memory"),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }
}
