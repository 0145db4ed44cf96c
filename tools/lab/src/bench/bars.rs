// SPDX-License-Identifier: GPL-2.0
//! Performance targets, and whether rmmap meets them.
//!
//! A target compares the exact figures of one run, which are rounded only for printing. A target
//! whose figures are missing is inconclusive, which is no success.

use super::results::{ratio, Judged, Results};
use super::shared;
use rmmap_bench::object::Object::{Memfd, Rmmap, RmmapNever};
use rmmap_bench::plan::{set, Set, COMPARED, ENDS, JUDGED, MIB};
use rmmap_bench::workload::Workload::{
    AdvisePopulate, Bursts, Fallocate, Fork, Free, Locked, Mremap, Munmap, Populate, PrivateHole,
    RandomWrite, SecondMap, SeqWrite, Stride16, Stride2, Tiny, WriteCall,
};
use rmmap_bench::{threads, Object, Record, Workload};

/// The suffix of the names of objects if the module has no statistics, and if it has them.
pub const BARE: &str = "-bare";
pub const COUNTED: &str = "-counted";

/// Both settings of `init_on_alloc`.
pub const SETTINGS: [bool; 2] = [false, true];

/// The part of a record that is compared.
#[derive(Clone, Copy, PartialEq)]
pub enum Figure {
    /// Instructions per page.
    Cost,
    /// The same without the cost of zeroing the page.
    Above,
    /// Bytes of memory used per byte touched.
    Memory,
    /// Page faults per page touched.
    Faults,
    /// The cost of the 99th fault of 100.
    Slow,
    /// The cost of the slowest fault.
    Slowest,
}

/// The peer of a comparison.
#[derive(Clone, Copy)]
enum Peer {
    /// The best of all kinds of files.
    Best,
    /// This object.
    One(Object),
    /// The object itself, at this size.
    Size(usize),
    /// None: the target limits the figure itself.
    Nothing,
}

/// A performance target of one thread.
struct Bar {
    figure: Figure,
    ours: Object,
    workload: Workload,
    size: usize,
    peer: Peer,
    most: f64,
}

impl Figure {
    /// Returns the figure of a record.
    pub fn of(self, record: &Record) -> Option<f64> {
        match self {
            Figure::Cost => Some(record.per_page),
            Figure::Above => Some(record.per_page - record.zeroing),
            Figure::Memory => record.memory,
            Figure::Faults => record.faults,
            Figure::Slow => record.latency.map(|[_, slow, _]| slow as f64),
            Figure::Slowest => record.latency.map(|[_, _, slowest]| slowest as f64),
        }
    }

    /// Returns its name, which follows the name of its subject.
    pub fn name(self) -> &'static str {
        match self {
            Figure::Cost => "",
            Figure::Above => " above zeroing",
            Figure::Memory => ": memory",
            Figure::Faults => ": faults",
            Figure::Slow => ": 99th of 100 faults",
            Figure::Slowest => ": slowest fault",
        }
    }
}

/// Returns all targets of one thread, and the settings of `init_on_alloc` under which they hold.
fn bars() -> Vec<(Bar, &'static [bool])> {
    use Figure::{Above, Cost, Faults, Memory};
    use Peer::{Best, Nothing, One, Size};
    let both: &[bool] = &SETTINGS;
    let (off, on): (&[bool], &[bool]) = (&[false], &[true]);
    let mut bars = Vec::new();
    let mut add = |figure, workload: Workload, size, peer, most, settings| {
        let bar = Bar {
            figure,
            ours: Rmmap,
            workload,
            size,
            peer,
            most,
        };
        bars.push((bar, settings));
    };
    for size in [COMPARED, JUDGED] {
        for workload in [Populate, Locked, SeqWrite] {
            add(Above, workload, size, Best, 1.0, both);
        }
        add(Above, Populate, size, Nothing, 50.0, both);
    }
    add(Above, RandomWrite, COMPARED, One(Memfd), 0.8, off);
    add(Cost, WriteCall, COMPARED, Best, 0.7, off);
    add(Cost, WriteCall, COMPARED, Best, 0.8, on);
    add(Above, PrivateHole, COMPARED, One(Memfd), 0.36, off);
    add(Memory, PrivateHole, COMPARED, One(Memfd), 0.5, both);
    for workload in [SecondMap, Fork, Mremap, Munmap, Free] {
        add(Cost, workload, COMPARED, Best, 1.0, both);
    }
    add(Cost, Tiny, Tiny.size(), One(Memfd), 1.0, both);
    // Faults and memory are the same under both settings: the tables have both.
    for &workload in Workload::PATTERNS {
        add(Faults, workload, workload.size(), One(Memfd), 1.0, off);
        let (peer, most) = match workload {
            RandomWrite | Stride2 | Stride16 | Bursts => (One(Memfd), 1.0),
            _ => (Nothing, 2.0),
        };
        add(Memory, workload, workload.size(), peer, most, off);
    }
    for workload in [Populate, SeqWrite] {
        add(Cost, workload, ENDS[1], Size(ENDS[0]), 1.05, both);
    }
    add(Above, SeqWrite, COMPARED, One(Memfd), 0.55, off);
    if let Some((bar, _)) = bars.last_mut() {
        bar.ours = RmmapNever;
    }
    bars
}

impl Results {
    /// Judges the performance targets.
    pub fn judged(mut self) -> Self {
        self.bars = judge(&self);
        self
    }
}

/// Judges the results: missed targets first, then inconclusive ones. A short run is judged by the
/// targets that it measures.
pub fn judge(results: &Results) -> Vec<Judged> {
    let cases = set(if results.quick { Set::Quick } else { Set::Full });
    let mut judged = Vec::new();
    for (bar, settings) in bars() {
        let is_planned = cases.iter().any(|case| {
            (case.object, case.workload, case.size) == (bar.ours, bar.workload, bar.size)
        });
        if is_planned {
            judged.extend(settings.iter().map(|&on| bar.judge(results, on)));
        }
    }
    judged.push(ratio(
        "statistics / compiled out, the worst of eight".into(),
        statistics(results),
        ("at most", 1.01),
    ));
    if !results.quick {
        judged.extend(shared::judge(results));
    }
    for (name, workload) in [
        ("one region", "random-write"),
        ("own regions", "random-write-own"),
    ] {
        judged.push(ratio(
            format!("two threads, random touch, {name} / the machine's speedup"),
            share(results, workload),
            ("at least", 0.9),
        ));
    }
    judged.sort_by_key(|bar| bar.verdict as u8);
    judged
}

impl Bar {
    fn judge(&self, results: &Results, on: bool) -> Judged {
        let find = |object: Object, size| {
            let record = results.find(on, object, self.workload, size)?;
            Some((self.figure.of(record)?, object.name()))
        };
        let ours = find(self.ours, self.size).map(|(figure, _)| figure);
        let peer = match self.peer {
            Peer::Best => best(results, on, self.workload, self.size, self.figure),
            Peer::One(object) => find(object, self.size),
            Peer::Size(size) => find(self.ours, size).map(|(figure, _)| (figure, size_name(size))),
            Peer::Nothing => Some((1.0, String::new())),
        };
        let against = match self.peer {
            Peer::Best => " / best peer".to_owned(),
            Peer::One(object) => format!(" / {}", object.name()),
            Peer::Size(size) => format!(" / {}", size_name(size)),
            Peer::Nothing => String::new(),
        };
        let name = format!(
            "{} {}, {}{}{against}",
            self.ours.name(),
            self.workload.name(),
            size_name(self.size),
            self.figure.name()
        );
        let figures = ours
            .zip(peer)
            .map(|(ours, (peer, name))| (ours, peer, name));
        let compared = figures.as_ref().map(|(ours, peer, _)| ours / peer);
        Judged {
            init_on_alloc: Some(on),
            figures,
            ..ratio(name, compared, ("at most", self.most))
        }
    }
}

/// Returns the lowest figure of all kinds of files, and its object. There are several ways to
/// populate.
pub fn best(
    results: &Results,
    on: bool,
    workload: Workload,
    size: usize,
    figure: Figure,
) -> Option<(f64, String)> {
    let ways: &[Workload] = match workload {
        Populate => &[Populate, AdvisePopulate, Fallocate],
        _ => &[workload],
    };
    let figures = ways.iter().flat_map(|&way| {
        Object::peers(way).filter_map(move |object| {
            let record = results.find(on, object, way, size)?;
            let by = if way == workload {
                object.name()
            } else {
                format!("{} {}", object.name(), way.name())
            };
            Some((figure.of(record)?, by))
        })
    });
    figures.min_by(|a, b| a.0.total_cmp(&b.0))
}

/// Returns the size for people, such as `16 MiB`.
pub fn size_name(size: usize) -> String {
    match size {
        0..MIB => format!("{} KiB", size >> 10),
        _ if size < 1024 * MIB => format!("{} MiB", size >> 20),
        _ => format!("{} GiB", size >> 30),
    }
}

/// Returns the speedup of two threads, relative to that of two threads that zero resident memory.
fn share(results: &Results, workload: &str) -> Option<f64> {
    let machine = faster(results, threads::NONE, threads::ZEROING)?;
    Some(faster(results, &Rmmap.name(), workload)? / machine)
}

/// Returns the speedup of two threads by the clock.
fn faster(results: &Results, object: &str, workload: &str) -> Option<f64> {
    let of = |threads| {
        results.timed().find(|record| {
            record.object == object && record.workload == workload && record.threads == threads
        })
    };
    // If no two samples agree, other load used the processors, and the result is inconclusive.
    Some(of(1)?.fastest()? / of(2)?.fastest()?)
}

/// Returns the worst ratio of any workload on either policy.
fn statistics(results: &Results) -> Option<f64> {
    let ratios = results.records.iter().filter_map(|bare| {
        let object = bare.object.strip_suffix(BARE)?;
        let with = results.records.iter().find(|record| {
            record.object.strip_suffix(COUNTED) == Some(object)
                && record.workload == bare.workload
                && record.size == bare.size
        })?;
        Some(with.per_page / bare.per_page)
    });
    ratios.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{record, results};
    use super::super::results::Verdict;
    use super::*;
    use rmmap_bench::Unit;

    /// Returns the judgement of the target with this name, at init_on_alloc=0 where that matters.
    fn judged(records: Vec<Record>, name: &str) -> Judged {
        let all = judge(&results(records));
        let found = all
            .into_iter()
            .find(|bar| bar.name == name && bar.init_on_alloc != Some(true));
        found.unwrap()
    }

    const POPULATE: &str = "rmmap populate, 256 MiB above zeroing / best peer";

    #[test]
    fn what_was_not_measured_is_inconclusive() {
        let all = judge(&results(vec![]));
        assert!(all.len() > 60);
        assert!(all.iter().all(|bar| bar.verdict == Verdict::Inconclusive));
        let alone = judged(vec![record("rmmap", "populate", JUDGED, 4040.0)], POPULATE);
        assert_eq!(alone.verdict, Verdict::Inconclusive);
    }

    #[test]
    fn ratios_are_compared_with_the_best_peer_and_not_rounded() {
        let against = |ours| {
            let records = vec![
                record("rmmap", "populate", JUDGED, ours),
                record("memfd", "populate", JUDGED, 9000.0),
                record("memfd-huge", "populate", JUDGED, 4040.0),
                record("anon-huge", "populate", JUDGED, 4001.0),
                record("hugetlb", "populate", JUDGED, 4001.0),
            ];
            judged(records, POPULATE)
        };
        let equal = against(4040.0);
        assert_eq!(equal.figures, Some((40.0, 40.0, "memfd-huge".into())));
        assert_eq!(equal.verdict, Verdict::Met);
        assert_eq!(against(4040.1).verdict, Verdict::Missed, "it is 1.0025");
        let allocated = judged(
            vec![
                record("rmmap", "populate", COMPARED, 4045.0),
                record("memfd-huge", "populate", COMPARED, 4050.0),
                record("tmpfs", "fallocate", COMPARED, 4040.0),
            ],
            "rmmap populate, 16 MiB above zeroing / best peer",
        );
        let by = "tmpfs fallocate".to_owned();
        assert_eq!(allocated.figures, Some((45.0, 40.0, by)));
    }

    #[test]
    fn shared_accesses_are_compared_at_eight_processors() {
        let of = |object: &str, workload: &str, threads, accesses| Record {
            unit: Unit::Accesses,
            threads,
            ..record(object, workload, COMPARED, accesses)
        };
        let records = || {
            vec![
                of("rmmap", "private-hole-own", 8, 3.0),
                of("rmmap", "private-hole-own", 16, 9.0),
                of("anon", "private-hole-own", 8, 2.0),
            ]
        };
        let name = "8 processors, private-hole-own: shared accesses / anon + 1";
        let bar = judged(records(), name);
        assert_eq!(bar.figures, Some((3.0, 3.0, "anon + 1".into())));
        assert_eq!(bar.verdict, Verdict::Met);
        let name = "16 processors, random-write-own: shared accesses / 2 processors";
        assert_eq!(judged(records(), name).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_short_run_is_judged_by_what_it_measures() {
        let mut short = results(vec![]);
        short.quick = true;
        let names: Vec<_> = judge(&short).into_iter().map(|bar| bar.name).collect();
        assert!(names.iter().all(|name| !name.contains("256 MiB")));
        assert!(names.iter().any(|name| name.contains("short-runs")));
    }

    #[test]
    fn what_is_missed_comes_first() {
        let all = judge(&results(vec![
            record("rmmap", "random-write", COMPARED, 4900.0),
            record("memfd", "random-write", COMPARED, 5000.0),
        ]));
        assert_eq!(all[0].verdict, Verdict::Missed);
        assert_eq!(
            all[0].name,
            "rmmap random-write, 16 MiB above zeroing / memfd"
        );
        assert_eq!(all.last().unwrap().verdict, Verdict::Met, "its memory");
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
                timed("rmmap", "random-write", 2, 12.0),
                timed(threads::NONE, threads::ZEROING, 1, machine),
                timed(threads::NONE, threads::ZEROING, 2, 10.0),
            ]
        };
        let name = "two threads, random touch, one region / the machine's speedup";
        assert_eq!(judged(with(20.0), name).verdict, Verdict::Missed);
        assert_eq!(judged(with(17.0), name).verdict, Verdict::Met);
        let mut noisy = with(17.0);
        noisy[1].samples = vec![20.0, 30.0];
        assert_eq!(judged(noisy, name).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn the_worst_workload_stands_for_the_statistics() {
        let records = vec![
            record("rmmap-counted", "seq-write", COMPARED, 100.0),
            record("rmmap-counted", "seq-read", COMPARED, 102.0),
            record("rmmap-bare", "seq-write", COMPARED, 100.0),
            record("rmmap-bare", "seq-read", COMPARED, 100.0),
        ];
        let bar = judged(records, "statistics / compiled out, the worst of eight");
        assert_eq!((bar.ratio, bar.verdict), (Some(1.02), Verdict::Missed));
    }
}
