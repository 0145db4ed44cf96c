// SPDX-License-Identifier: GPL-2.0
//! Performance targets: ratios within one run, and whether rmmap meets them.

use super::results::Results;
use rmmap_bench::object::Object::{Memfd, MemfdHuge, Rmmap, RmmapNever};
use rmmap_bench::plan::{COMPARED, ENDS, JUDGED, LARGE};
use rmmap_bench::workload::Workload::{
    Fork, Free, Locked, Munmap, Populate, PrivateHole, RandomWrite, SecondMap, SeqWrite,
};
use rmmap_bench::{threads, Object, Record, Unit, Workload};
use serde::{Deserialize, Serialize};

/// What the names of objects end in where the module has no statistics.
pub const BARE: &str = "-bare";

/// From here on a machine has two whole processors.
const WHOLE: f64 = 1.9;

/// A performance target.
pub struct Bar {
    /// What is compared.
    name: &'static str,
    /// The ratio, if it was measured.
    ratio: fn(&Results) -> Option<f64>,
    limit: Limit,
}

/// How the ratio has to be. The limits have two decimals, and so have the ratios that are compared.
enum Limit {
    Most(f64),
    Least(f64),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// What is compared.
    pub name: String,
    /// The ratio.
    pub ratio: f64,
    /// How it has to be.
    pub limit: String,
    /// Whether it is.
    pub met: bool,
}

use Limit::{Least, Most};

/// All targets.
pub const BARS: &[Bar] = &[
    bar(
        "MAP_POPULATE, 256 MiB / zeroing",
        |r| over_zeroing(r, Populate),
        Most(1.02),
    ),
    bar(
        "MAP_LOCKED, 256 MiB / zeroing",
        |r| over_zeroing(r, Locked),
        Most(1.02),
    ),
    bar(
        "sequential first write, 256 MiB / zeroing",
        |r| over_zeroing(r, SeqWrite),
        Most(1.02),
    ),
    bar(
        "MAP_POPULATE, 256 MiB / huge memfd",
        |r| over_huge(r, Populate, JUDGED),
        Most(1.0),
    ),
    bar(
        "MAP_LOCKED, 256 MiB / huge memfd",
        |r| over_huge(r, Locked, JUDGED),
        Most(1.0),
    ),
    bar(
        "sequential first write, 256 MiB / huge memfd",
        |r| over_huge(r, SeqWrite, JUDGED),
        Most(1.0),
    ),
    bar(
        "sequential first write, policy never / memfd, both above zeroing",
        above_zeroing,
        Most(0.55),
    ),
    bar(
        "random first touch / memfd",
        |r| over_memfd(r, Rmmap, RandomWrite, cost),
        Most(0.95),
    ),
    bar(
        "random first touch: memory / memfd's",
        |r| over_memfd(r, Rmmap, RandomWrite, memory),
        Most(1.0),
    ),
    bar(
        "second mapping / memfd",
        |r| over_memfd(r, Rmmap, SecondMap, cost),
        Most(0.1),
    ),
    bar(
        "private write to holes / memfd",
        |r| over_memfd(r, Rmmap, PrivateHole, cost),
        Most(0.7),
    ),
    bar(
        "private write to holes: memory / memfd's",
        |r| over_memfd(r, Rmmap, PrivateHole, memory),
        Most(0.5),
    ),
    bar(
        "fork, 1 GiB / huge memfd",
        |r| over_huge(r, Fork, LARGE),
        Most(1.0),
    ),
    bar(
        "munmap, 1 GiB / huge memfd",
        |r| over_huge(r, Munmap, LARGE),
        Most(1.0),
    ),
    bar(
        "free, 1 GiB / huge memfd",
        |r| over_huge(r, Free, LARGE),
        Most(1.0),
    ),
    bar(
        "MAP_POPULATE, 4 GiB / 4 MiB",
        |r| over_small(r, Populate),
        Most(1.05),
    ),
    bar(
        "sequential first write, 4 GiB / 4 MiB",
        |r| over_small(r, SeqWrite),
        Most(1.05),
    ),
    bar(
        "two threads, random touch, one region / one thread",
        |r| speedup(r, "random-write"),
        Least(1.8),
    ),
    bar(
        "two threads, random touch, own regions / one thread",
        |r| speedup(r, "random-write-own"),
        Least(1.8),
    ),
    bar(
        "two threads, random touch, one region / the machine's speedup",
        |r| share(r, "random-write"),
        Least(0.9),
    ),
    bar(
        "two threads, random touch, own regions / the machine's speedup",
        |r| share(r, "random-write-own"),
        Least(0.9),
    ),
    bar(
        "statistics / compiled out, the worst of eight",
        statistics,
        Most(1.01),
    ),
];

const fn bar(name: &'static str, ratio: fn(&Results) -> Option<f64>, limit: Limit) -> Bar {
    Bar { name, ratio, limit }
}

/// Judges what was measured.
pub fn judge(results: &Results) -> Vec<Judged> {
    let judged = BARS.iter().filter_map(|bar| {
        let ratio = (bar.ratio)(results)?;
        let rounded = (ratio * 100.0).round() / 100.0;
        let (limit, met) = match bar.limit {
            Most(limit) => (format!("at most {limit:.2}"), rounded <= limit),
            Least(limit) => (format!("at least {limit:.2}"), rounded >= limit),
        };
        Some(Judged {
            name: bar.name.to_owned(),
            ratio,
            limit,
            met,
        })
    });
    judged.collect()
}

fn cost(record: &Record) -> Option<f64> {
    Some(record.per_page)
}

fn memory(record: &Record) -> Option<f64> {
    record.memory
}

fn over_zeroing(results: &Results, workload: Workload) -> Option<f64> {
    let ours = results.find(Rmmap, workload, JUDGED)?;
    Some(ours.per_page / ours.zeroing)
}

fn over_huge(results: &Results, workload: Workload, size: usize) -> Option<f64> {
    let ours = results.find(Rmmap, workload, size)?.per_page;
    Some(ours / results.find(MemfdHuge, workload, size)?.per_page)
}

fn over_memfd(
    results: &Results,
    ours: Object,
    workload: Workload,
    of: fn(&Record) -> Option<f64>,
) -> Option<f64> {
    let ours = of(results.find(ours, workload, COMPARED)?)?;
    Some(ours / of(results.find(Memfd, workload, COMPARED)?)?)
}

fn above_zeroing(results: &Results) -> Option<f64> {
    let above = |object| {
        let record = results.find(object, SeqWrite, COMPARED)?;
        Some(record.per_page - record.zeroing)
    };
    Some(above(RmmapNever)? / above(Memfd)?)
}

fn over_small(results: &Results, workload: Workload) -> Option<f64> {
    let [small, large] = ENDS.map(|size| results.find(Rmmap, workload, size));
    Some(large?.per_page / small?.per_page)
}

/// How much faster two threads are, where the machine has two whole processors for them.
fn speedup(results: &Results, workload: &str) -> Option<f64> {
    (machine(results)? >= WHOLE).then(|| faster(results, &Rmmap.name(), workload))?
}

/// The same as a part of what the machine gives two threads that fault nothing.
fn share(results: &Results, workload: &str) -> Option<f64> {
    Some(faster(results, &Rmmap.name(), workload)? / machine(results)?)
}

/// How much faster two threads zero memory that is there.
fn machine(results: &Results) -> Option<f64> {
    faster(results, threads::NONE, threads::ZEROING)
}

/// How much faster two threads are by the clock.
fn faster(results: &Results, object: &str, workload: &str) -> Option<f64> {
    let of = |threads| {
        let mut timed = results
            .records
            .iter()
            .filter(|r| r.unit == Unit::Nanoseconds);
        timed.find(|record| {
            record.object == object && record.workload == workload && record.threads == threads
        })
    };
    // If nothing was measured twice, somebody else used the processors, and nothing can be said.
    Some(of(1)?.fastest()? / of(2)?.fastest()?)
}

/// The worst ratio of any workload on either policy.
fn statistics(results: &Results) -> Option<f64> {
    let ratios = results.records.iter().filter_map(|bare| {
        let object = bare.object.strip_suffix(BARE)?;
        let workload = &bare.workload;
        // The last one: it was measured next to the other, and not in the middle of all objects.
        let with = results.records.iter().rev().find(|record| {
            record.object == object && record.workload == *workload && record.size == bare.size
        })?;
        Some(with.per_page / bare.per_page)
    });
    ratios.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::record;
    use super::*;

    fn judged(records: Vec<Record>) -> Vec<Judged> {
        judge(&Results::new("7.3".into(), false, records))
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert_eq!(judged(vec![]), []);
    }

    #[test]
    fn a_bar_is_met_or_missed_at_two_decimals() {
        let populate = |cost| judged(vec![record("rmmap", "populate", JUDGED, cost)]);
        let met = &populate(4099.0)[0];
        assert!(met.met && met.limit == "at most 1.02", "{met:?}");
        assert!(!populate(4121.0)[0].met);
    }

    #[test]
    fn threads_are_compared_by_the_clock() {
        let timed = |object: &str, workload: &str, threads, cost: f64| Record {
            unit: Unit::Nanoseconds,
            threads,
            samples: vec![cost; 2],
            ..record(object, workload, 4 * COMPARED, cost)
        };
        let with = |machine: f64| {
            vec![
                record("rmmap", "random-write", COMPARED, 10.0),
                timed("rmmap", "random-write", 1, 20.0),
                timed("rmmap", "random-write", 2, 11.0),
                timed(threads::NONE, threads::ZEROING, 1, machine),
                timed(threads::NONE, threads::ZEROING, 2, 10.0),
            ]
        };
        let whole = judged(with(20.0));
        assert_eq!(whole.len(), 2);
        assert!(whole.iter().all(|bar| bar.met), "{whole:?}");
        let part = judged(with(17.0));
        assert_eq!(
            part.len(),
            1,
            "that machine has no two processors: {part:?}"
        );
        let mut noisy = with(20.0);
        noisy[1].samples = vec![20.0, 30.0];
        assert_eq!(judged(noisy), []);
    }

    #[test]
    fn the_worst_workload_stands_for_the_statistics() {
        let judged = judged(vec![
            record("rmmap", "seq-write", COMPARED, 100.0),
            record("rmmap", "seq-read", COMPARED, 102.0),
            record("rmmap-bare", "seq-write", COMPARED, 100.0),
            record("rmmap-bare", "seq-read", COMPARED, 100.0),
        ]);
        assert_eq!(judged.len(), 1);
        assert_eq!((judged[0].ratio, judged[0].met), (1.02, false));
    }
}
