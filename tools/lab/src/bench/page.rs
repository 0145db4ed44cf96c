// SPDX-License-Identifier: GPL-2.0
//! `Documentation/benchmark.rst`: the figures of a full run, between words that are written by hand.

use super::grid::Grid;
use super::plot::PICTURES;
use super::results::Results;
use super::{tables, FOLDER};
use crate::project::Project;
use anyhow::{ensure, Context, Result};
use clap::ValueEnum;
use rmmap_bench::{Object, Workload};
use std::fs;

/// The page, relative to the checkout.
const PAGE: &str = "Documentation/benchmark.rst";
/// Its head, which is written by hand.
const HEAD: &str = "tools/lab/src/bench/head.rst";

/// Writes the page, and lays the pictures beside it.
pub fn record(project: &Project, results: &Results) -> Result<()> {
    ensure!(
        !results.quick,
        "cannot record a run with QUICK=1: run `make bench` without QUICK first"
    );
    let head = fs::read_to_string(project.root().join(HEAD))
        .with_context(|| format!("cannot read {HEAD}"))?;
    fs::write(project.root().join(PAGE), page(&head, results))
        .with_context(|| format!("cannot write {PAGE}"))?;
    for name in PICTURES {
        let from = project.build(FOLDER).join(name);
        let to = project.root().join("Documentation").join(picture(name));
        fs::copy(&from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    println!("{PAGE} has the figures of the last run");
    Ok(())
}

/// The name of a picture beside the page.
fn picture(name: &str) -> String {
    format!("benchmark-{name}")
}

fn page(head: &str, results: &Results) -> String {
    let mut text = head.trim_end().to_owned();
    text.push_str(&format!(
        "\n\nThe figures below were measured on Linux {}.\n",
        results.kernel
    ));
    for name in PICTURES {
        text.push_str(&format!("\n.. image:: {}\n", picture(name)));
    }
    let names = [
        names("Objects", Object::value_variants(), |o| {
            (o.name(), o.text())
        }),
        names("Workloads", Workload::value_variants(), |w| {
            (w.name(), w.text())
        }),
    ];
    for grid in tables::all(results).iter().chain(&names) {
        text.push('\n');
        text.push_str(&grid.rst());
    }
    text
}

/// What names in the tables mean.
fn names<T: Copy>(title: &str, all: &[T], of: fn(T) -> (String, String)) -> Grid {
    let rows = all.iter().map(|&one| {
        let (name, text) = of(one);
        vec![name, text]
    });
    Grid {
        title: title.to_owned(),
        text: format!(
            "The names that ``rmmap bench --{}`` accepts.",
            title.to_lowercase().trim_end_matches('s')
        ),
        head: ["name", "meaning"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::record;
    use super::*;
    use rmmap_bench::plan::COMPARED;

    #[test]
    fn the_page_has_figures_and_explains_names() {
        let records = vec![record("rmmap", "populate", COMPARED, 4163.2)];
        let text = page("Head\n", &Results::new("7.3.4".into(), false, records));
        for part in [
            "Head\n\nThe figures below were measured on Linux 7.3.4.",
            "\"4163\"",
            "A memfd",
            "image:: benchmark-sizes.svg",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_short_run_is_not_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let results = Results::new("7.3".into(), true, vec![]);
        let error = record_error(&Project::at(dir.path()), &results);
        assert!(error.contains("without QUICK"), "{error}");
    }

    fn record_error(project: &Project, results: &Results) -> String {
        super::record(project, results).unwrap_err().to_string()
    }
}
