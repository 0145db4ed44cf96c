// SPDX-License-Identifier: GPL-2.0
//! Which tables there are of a run.

use super::bars::BARS;
use super::grid::Grid;
use super::results::Results;
use clap::ValueEnum;
use rmmap_bench::plan::{COMPARED, MIB};
use rmmap_bench::record::Unit;
use rmmap_bench::{Object, Record, Workload};
use std::collections::BTreeSet;

/// All that have anything in them.
pub fn all(results: &Results) -> Vec<Grid> {
    let grids = [
        bars(results),
        costs(results),
        memory(results),
        sizes(results),
        threads(results),
    ];
    grids
        .into_iter()
        .filter(|grid| !grid.rows.is_empty())
        .collect()
}

fn bars(results: &Results) -> Grid {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for bar in &results.bars {
        let met = if bar.met { "yes" } else { "NO" };
        rows.push(vec![
            bar.name.clone(),
            format!("{:.3}", bar.ratio),
            bar.limit.clone(),
            met.into(),
        ]);
    }
    Grid {
        title: "Performance targets".into(),
        text: format!(
            "Ratios within one run, which measured {} of {}. Under init_on_alloc=1, Debian's default, \
             shmem zeroes each page twice: that is about half of a huge memfd's cost.",
            results.bars.len(),
            BARS.len()
        ),
        head: ["ratio of", "ratio", "target", "met"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    }
}

fn costs(results: &Results) -> Grid {
    let zeroing = results.records.first().map_or(0.0, |record| record.zeroing);
    compared(
        results,
        format!("Instructions per page, {} MiB", COMPARED / MIB),
        format!(
            "Workloads that allocate include the zeroing of each page, {zeroing:.0} instructions. \
             Under init_on_alloc=1, Debian's default, shmem zeroes each page twice."
        ),
        |record| Some(format!("{:.0}", record.per_page)),
    )
}

fn memory(results: &Results) -> Grid {
    compared(
        results,
        format!("Memory used per byte touched, {} MiB", COMPARED / MIB),
        "Page tables count. A private mapping counts what it adds to the object.".into(),
        |record| record.memory.map(|memory| format!("{memory:.2}")),
    )
}

/// Workloads by objects at the size of the comparison.
fn compared(
    results: &Results,
    title: String,
    text: String,
    cell: fn(&Record) -> Option<String>,
) -> Grid {
    let of = |object: Object, workload| {
        results
            .find(object, workload, COMPARED)
            .filter(|r| r.unit == Unit::Instructions)
            .and_then(cell)
    };
    let objects: Vec<Object> = Object::value_variants()
        .iter()
        .copied()
        .filter(|&object| {
            Workload::value_variants()
                .iter()
                .any(|&w| of(object, w).is_some())
        })
        .collect();
    let mut head = vec!["workload".to_owned()];
    head.extend(objects.iter().map(|object| object.name()));
    let mut rows = Vec::new();
    for &workload in Workload::value_variants() {
        let cells: Vec<_> = objects.iter().map(|&object| of(object, workload)).collect();
        if cells.iter().any(Option::is_some) {
            let mut row = vec![workload.name()];
            row.extend(
                cells
                    .into_iter()
                    .map(|cell| cell.unwrap_or_else(|| "-".into())),
            );
            rows.push(row);
        }
    }
    Grid {
        title,
        text,
        head,
        rows,
    }
}

/// The sizes at which a single thread was measured.
pub fn measured_sizes(results: &Results) -> BTreeSet<u64> {
    let serial = results
        .records
        .iter()
        .filter(|r| r.unit == Unit::Instructions);
    serial.map(|record| record.size).collect()
}

fn sizes(results: &Results) -> Grid {
    let sizes = measured_sizes(results);
    let mut head = vec!["object, workload".to_owned()];
    head.extend(sizes.iter().map(|size| format!("{} MiB", size >> 20)));
    let mut rows = Vec::new();
    for &workload in Workload::value_variants() {
        for &object in Object::value_variants() {
            let cells: Vec<_> = sizes
                .iter()
                .map(|&size| results.find(object, workload, size as usize))
                .map(|record| record.map(|record| record.per_page))
                .collect();
            // What was measured at one size only stands in the other table.
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
        title: "Instructions per page by size".into(),
        text: "Costs of one workload on objects of different sizes.".into(),
        head,
        rows,
    }
}

fn threads(results: &Results) -> Grid {
    let mut rows = Vec::new();
    let timed = || {
        results
            .records
            .iter()
            .filter(|r| r.unit == Unit::Nanoseconds)
    };
    for one in timed().filter(|record| record.threads == 1) {
        let same =
            |record: &&Record| record.object == one.object && record.workload == one.workload;
        for many in timed().filter(same).filter(|record| record.threads > 1) {
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
    use super::super::results::tests::record;
    use super::*;

    #[test]
    fn empty_tables_are_left_out() {
        assert!(all(&Results::new("7.3".into(), true, vec![])).is_empty());
    }

    #[test]
    fn objects_stand_side_by_side() {
        let records = vec![
            record("rmmap", "populate", COMPARED, 4163.2),
            record("memfd", "populate", COMPARED, 15776.5),
            record("memfd", "populate", 4 * MIB, 15000.0),
        ];
        let grids = all(&Results::new("7.3".into(), true, records));
        assert_eq!(grids[0].head, ["workload", "rmmap", "memfd"]);
        assert_eq!(grids[0].rows, [["populate", "4163", "15776"]]);
        assert_eq!(grids[2].rows, [["memfd populate", "15000", "15776"]]);
    }
}
