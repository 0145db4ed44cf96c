// SPDX-License-Identifier: GPL-2.0
//! The tables of a run.

use super::bars::{best, size_name, Figure, SETTINGS};
use super::results::{Results, Verdict};
use super::shared::JUDGED;
use clap::ValueEnum;
use rmmap_bench::plan::COMPARED;
use rmmap_bench::shared::{OBJECTS as SHARED_OBJECTS, THREADS, WORKLOADS as SHARED_WORKLOADS};
use rmmap_bench::{Object, Record, Workload};
use rmmap_pages::Grid;
use std::collections::BTreeSet;

/// Returns all tables that are not empty: first those with rmmap's losses.
pub fn all(results: &Results) -> Vec<Grid> {
    let mut grids = vec![lost(results), bars(results)];
    for on in SETTINGS {
        grids.extend(compared(results, on));
        grids.push(latencies(results, on));
        grids.push(sizes(results, on));
    }
    grids.push(shared(results));
    grids.extend(SHARED_WORKLOADS.iter().map(|way| places(results, way.0)));
    grids.push(threads(results));
    grids.retain(|grid| !grid.rows.is_empty());
    grids
}

/// Returns the figures that are compared for a workload.
fn figures(workload: Workload) -> &'static [Figure] {
    use Figure::{Above, Cost, Faults, Memory, Slow, Slowest};
    match workload {
        _ if workload.is_latency() => &[Slow, Slowest],
        _ if workload.zeroes() => &[Above, Memory, Faults],
        _ => &[Cost, Memory, Faults],
    }
}

/// The ratio from which a figure is a loss.
pub const LOST: f64 = 1.0005;

/// A figure in which a region of the default policy is worse than another object.
pub struct Loss {
    /// Its row of the table.
    pub row: Vec<String>,
    /// Whether it is a cost in instructions: not faults, memory or a latency.
    pub is_cost: bool,
    /// The ratio to the best kind of file.
    pub over_file: f64,
    /// The larger of this ratio and that to anonymous memory.
    worst: f64,
}

/// Lists the cases in which another kind of file, or anonymous memory, is better than a region of
/// the default policy.
pub fn losses(results: &Results) -> Vec<Loss> {
    let mut losses = Vec::new();
    for on in SETTINGS {
        for &workload in Workload::value_variants() {
            let size = workload.size();
            for &figure in figures(workload) {
                let find = |object| figure.of(results.find(on, object, workload, size)?);
                let Some(ours) = find(Object::Rmmap) else {
                    continue;
                };
                let anonymous = [Object::Anon, Object::AnonHuge]
                    .into_iter()
                    .filter_map(|object| Some((find(object)?, object.name())))
                    .min_by(|a, b| a.0.total_cmp(&b.0));
                let best = best(results, on, workload, size, figure);
                // A cost of zero is infinitely better.
                let over = |peer: &Option<(f64, String)>| match peer {
                    Some((peer, _)) if *peer > 0.0 => ours / peer,
                    Some(_) if ours > 0.0 => f64::INFINITY,
                    _ => 0.0,
                };
                let over_file = over(&best);
                let worst = over_file.max(over(&anonymous));
                if worst < LOST {
                    continue;
                }
                let mut row = vec![
                    format!("{}{}", workload.name(), figure.name()),
                    u8::from(on).to_string(),
                    number(ours),
                ];
                for peer in [best, anonymous] {
                    let ratio = over(&peer);
                    row.extend(match peer {
                        Some((peer, by)) => {
                            [format!("{} ({by})", number(peer)), format!("{ratio:.3}")]
                        }
                        None => ["-", "-"].map(str::to_owned),
                    });
                }
                losses.push(Loss {
                    row,
                    is_cost: matches!(figure, Figure::Cost | Figure::Above),
                    over_file,
                    worst,
                });
            }
        }
    }
    losses.sort_by(|a, b| b.worst.total_cmp(&a.worst));
    losses
}

/// Returns the table of the losses.
fn lost(results: &Results) -> Grid {
    Grid {
        title: "Where rmmap loses".into(),
        text: "Each figure in which a region of the default policy is worse than the best other kind of \
               file, or than anonymous memory; the worst first. Costs are instructions per page; those of \
               workloads that zero memory are without one zeroing. Ratios over 1 are losses."
            .into(),
        head: [
            "workload",
            "init_on_alloc",
            "rmmap",
            "best file",
            "ratio",
            "best anonymous",
            "ratio",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: losses(results).into_iter().map(|loss| loss.row).collect(),
    }
}

/// Returns a figure, rounded for readers.
fn number(figure: f64) -> String {
    match figure {
        _ if figure < 10.0 => format!("{figure:.3}"),
        _ if figure < 100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

/// Returns the setting as text, such as `(init_on_alloc=0)`.
fn setting(on: bool) -> String {
    format!("(init_on_alloc={})", u8::from(on))
}

fn bars(results: &Results) -> Grid {
    let rows = results.bars.iter().map(|bar| {
        let (ours, peer, of) = match &bar.figures {
            Some((ours, _, of)) if of.is_empty() => (number(*ours), "-".into(), String::new()),
            Some((ours, peer, of)) => (number(*ours), number(*peer), format!(" ({of})")),
            None => ("-".into(), "-".into(), String::new()),
        };
        vec![
            bar.name.clone(),
            bar.init_on_alloc
                .map_or("-".into(), |on| u8::from(on).to_string()),
            ours,
            format!("{peer}{of}"),
            bar.ratio.map_or("-".into(), |ratio| format!("{ratio:.3}")),
            bar.limit.clone(),
            match bar.verdict {
                Verdict::Met => "yes",
                Verdict::Missed => "NO",
                Verdict::Inconclusive => "inconclusive",
            }
            .into(),
        ]
    });
    Grid {
        title: "Performance targets".into(),
        text: format!(
            "{}. Figures above zeroing are instructions per page less those that zero it once. The best \
             peer is the best of all kinds of files; hugetlb is none where memory is allocated or freed, \
             because its pool has the pages. Ratios are compared before they are rounded.",
            summary(results)
        ),
        head: [
            "target",
            "init_on_alloc",
            "rmmap",
            "peer",
            "ratio",
            "limit",
            "met",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: rows.collect(),
    }
}

/// Returns how many targets are met, missed, inconclusive.
pub fn summary(results: &Results) -> String {
    let count = |verdict| {
        let bars = results.bars.iter();
        bars.filter(|bar| bar.verdict == verdict).count()
    };
    format!(
        "{} performance targets: {} missed, {} inconclusive, {} met",
        results.bars.len(),
        count(Verdict::Missed),
        count(Verdict::Inconclusive),
        count(Verdict::Met)
    )
}

/// Makes tables of workloads by objects: their costs, the memory that they use, their faults.
fn compared(results: &Results, on: bool) -> Vec<Grid> {
    let zeroing = results.counted(on).next().map_or(0.0, |r| r.zeroing);
    let mut grids = Vec::new();
    for (figure, title, text) in [
        (
            Figure::Cost,
            "Instructions per page",
            format!(
                "Where memory is allocated, {zeroing:.0} of them zero the page; with init_on_alloc=1 shmem \
                 zeroes each page twice. A tiny object is a page. Objects have {} where nothing else is said.",
                size_name(COMPARED)
            ),
        ),
        (
            Figure::Memory,
            "Memory used per byte touched",
            "Page tables count. A private mapping counts what it adds to the object.".into(),
        ),
        (
            Figure::Faults,
            "Page faults per page touched",
            "Those that system calls take count, too.".into(),
        ),
    ] {
        let of = |object: Object, workload: Workload| {
            figure.of(results.find(on, object, workload, workload.size())?)
        };
        let all = Workload::value_variants();
        let objects: Vec<Object> = Object::value_variants()
            .iter()
            .copied()
            .filter(|&object| all.iter().any(|&w| of(object, w).is_some()))
            .collect();
        let mut head = vec!["workload".to_owned()];
        head.extend(objects.iter().map(|object| object.name()));
        let mut rows = Vec::new();
        for &workload in all.iter().filter(|workload| !workload.is_latency()) {
            let cells: Vec<_> = objects.iter().map(|&object| of(object, workload)).collect();
            if cells.iter().any(Option::is_some) {
                let mut row = vec![match workload.size() {
                    COMPARED => workload.name(),
                    size => format!("{}, {}", workload.name(), size_name(size)),
                }];
                let text = |cell: Option<f64>| match cell {
                    None => "-".to_owned(),
                    Some(figure) if figure < 100.0 => format!("{figure:.2}"),
                    Some(figure) => format!("{figure:.0}"),
                };
                row.extend(cells.into_iter().map(text));
                rows.push(row);
            }
        }
        grids.push(Grid {
            title: format!("{title} {}", setting(on)),
            text,
            head,
            rows,
        });
    }
    grids
}

/// Makes a table of the costs of single faults.
fn latencies(results: &Results, on: bool) -> Grid {
    let of = |object, workload: Workload| {
        let record = results.find(on, object, workload, workload.size());
        record.and_then(|record| record.latency)
    };
    let ways = [Workload::SeqLatency, Workload::RandomLatency];
    let rows = Object::value_variants().iter().filter_map(|&object| {
        let figures = ways.map(|workload| of(object, workload));
        figures.iter().any(Option::is_some).then(|| {
            let cells = figures.into_iter().flat_map(|figures| match figures {
                Some(figures) => figures.map(|figure| figure.to_string()),
                None => ["-"; 3].map(str::to_owned),
            });
            std::iter::once(object.name()).chain(cells).collect()
        })
    });
    let head = ways.iter().flat_map(|way| {
        let name = way.name().replace("-latency", "");
        ["median", "99 %", "most"].map(|part| format!("{name}: {part}"))
    });
    Grid {
        title: format!("Instructions of a fault {}", setting(on)),
        text: "Only touches that were faults count. A fault that maps a huge page zeroes all of it; what \
               the timer's interrupt costs is in some of the highest."
            .into(),
        head: std::iter::once("object".to_owned()).chain(head).collect(),
        rows: rows.collect(),
    }
}

/// Returns the sizes at which a single thread was measured.
pub fn measured_sizes(results: &Results) -> BTreeSet<u64> {
    let serial = SETTINGS.into_iter().flat_map(|on| results.counted(on));
    serial.map(|record| record.size).collect()
}

fn sizes(results: &Results, on: bool) -> Grid {
    let sizes = measured_sizes(results);
    let mut head = vec!["object, workload".to_owned()];
    head.extend(sizes.iter().map(|&size| size_name(size as usize)));
    let mut rows = Vec::new();
    for &workload in Workload::value_variants() {
        for &object in Object::value_variants() {
            let cells: Vec<_> = sizes
                .iter()
                .map(|&size| results.find(on, object, workload, size as usize))
                .map(|record| record.map(|record| record.per_page))
                .collect();
            // Objects that were measured at only one size are in the other table.
            if cells.iter().flatten().count() > 1 {
                let mut row = vec![format!("{} {}", object.name(), workload.name())];
                let text = |cost: Option<f64>| match cost {
                    Some(cost) if cost < 100.0 => format!("{cost:.2}"),
                    Some(cost) => format!("{cost:.0}"),
                    None => "-".into(),
                };
                row.extend(cells.into_iter().map(text));
                rows.push(row);
            }
        }
    }
    Grid {
        title: format!("Instructions per page by size {}", setting(on)),
        text: "Costs of one workload on objects of different sizes.".into(),
        head,
        rows,
    }
}

/// Makes a table of the processors' accesses to lines that they share.
fn shared(results: &Results) -> Grid {
    let mut rows = Vec::new();
    for (workload, _) in SHARED_WORKLOADS {
        for &object in SHARED_OBJECTS {
            let of = |&threads| results.shared(object, workload, threads);
            let cells: Vec<_> = THREADS.iter().map(of).collect();
            if cells.iter().all(Option::is_none) {
                continue;
            }
            let cells = cells.into_iter().map(|record| match record {
                Some(record) => format!("{:.2}", record.per_page),
                None => "-".to_owned(),
            });
            let name = format!("{workload}, {}", object.name());
            rows.push(std::iter::once(name).chain(cells).collect());
        }
    }
    let head = THREADS
        .iter()
        .map(|threads| format!("{threads} processors"));
    Grid {
        title: "Accesses to shared lines".into(),
        text: "Per page fault: accesses of the kernel to lines of 64 bytes that one processor writes and \
               another one reads or writes, in any fault of the same run. Each processor has a thread, \
               which touches pages in random order: a part of one mapping, or a mapping of its own."
            .into(),
        head: std::iter::once("workload, object".to_owned())
            .chain(head)
            .collect(),
        rows,
    }
}

/// Makes a table of the places of rmmap's accesses to shared lines.
fn places(results: &Results, workload: &str) -> Grid {
    let record = results.shared(Object::Rmmap, workload, JUDGED);
    let places = record.map_or(&[][..], |record| &record.places);
    let rows = places.iter().take(12).map(|place| {
        vec![
            place.code.clone(),
            place.data.clone(),
            place.lines.to_string(),
            format!("{:.3}", place.accesses),
        ]
    });
    Grid {
        title: format!("Shared lines of rmmap: {workload}"),
        text: format!(
            "Where most accesses of {JUDGED} processors are: functions and their callers."
        ),
        head: ["code", "data", "lines", "per fault"]
            .map(str::to_owned)
            .to_vec(),
        rows: rows.collect(),
    }
}

fn threads(results: &Results) -> Grid {
    let mut rows = Vec::new();
    for one in results.timed().filter(|record| record.threads == 1) {
        let same =
            |record: &&Record| record.object == one.object && record.workload == one.workload;
        for many in results
            .timed()
            .filter(same)
            .filter(|record| record.threads > 1)
        {
            rows.push(vec![
                one.object.clone(),
                one.workload.clone(),
                many.threads.to_string(),
                match (one.fastest(), many.fastest()) {
                    (Some(one), Some(many)) => format!("{:.2}", one / many),
                    _ => "-".to_owned(),
                },
                format!("{:.2}", one.per_page / many.per_page),
            ]);
        }
    }
    Grid {
        title: "Threads".into(),
        text: "Speedup of several threads over one, in time: of the fastest samples, where two agree, \
               and of the medians. The first row is the speedup of threads that only zero memory: \
               the machine allows no more."
            .into(),
        head: ["object", "workload", "threads", "fastest", "median"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{record, results};
    use super::*;
    use rmmap_bench::plan::MIB;

    #[test]
    fn empty_tables_are_left_out() {
        assert!(all(&results(vec![])).is_empty());
    }

    /// Returns the first table whose title begins so.
    fn grid(records: Vec<Record>, title: &str) -> Grid {
        let grids = all(&results(records).judged()).into_iter();
        grids
            .into_iter()
            .find(|grid| grid.title.starts_with(title))
            .unwrap()
    }

    fn populates() -> Vec<Record> {
        vec![
            record("rmmap", "populate", COMPARED, 4063.2),
            record("memfd", "populate", COMPARED, 4060.0),
            record("memfd", "populate", 4 * MIB, 4100.0),
            record("anon-huge", "populate", COMPARED, 4100.0),
            Record {
                init_on_alloc: Some(true),
                ..record("memfd", "populate", COMPARED, 15776.5)
            },
        ]
    }

    #[test]
    fn objects_stand_side_by_side_under_each_setting() {
        let off = grid(populates(), "Instructions per page (init_on_alloc=0)");
        assert_eq!(off.head, ["workload", "rmmap", "memfd", "anon-huge"]);
        assert_eq!(off.rows, [["populate", "4063", "4060", "4100"]]);
        let on = grid(populates(), "Instructions per page (init_on_alloc=1)");
        assert_eq!(on.rows, [["populate", "15776"]]);
        let sizes = grid(populates(), "Instructions per page by size");
        assert_eq!(sizes.rows, [["memfd populate", "4100", "4060"]]);
    }

    #[test]
    fn losses_come_first() {
        let grids = all(&results(populates()).judged());
        assert_eq!(grids[0].title, "Where rmmap loses");
        let row = "populate above zeroing|0|63.2|60.0 (memfd)|1.053|100 (anon-huge)|0.632";
        assert_eq!(grids[0].rows.len(), 1);
        assert_eq!(grids[0].rows[0].join("|"), row);
    }

    #[test]
    fn a_target_tells_its_figures() {
        let grid = grid(populates(), "Performance targets");
        let row = &grid.rows[0];
        assert_eq!(row[2..5], ["63.2", "60.0 (memfd)", "1.053"]);
        assert_eq!(row.last().unwrap(), "NO");
        assert!(grid.text.contains("targets: 2 missed"), "{}", grid.text);
    }
}
