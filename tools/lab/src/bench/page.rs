// SPDX-License-Identifier: GPL-2.0
//! `Documentation/benchmark.rst`, `benchmark-tables.rst` and a part of `README.md`: the figures of a
//! full run, between hand-written text.

use super::plot::PICTURES;
use super::results::Results;
use super::tables::{self, Loss, LOST};
use super::FOLDER;
use crate::project::Project;
use anyhow::{ensure, Context, Result};
use clap::ValueEnum;
use rmmap_bench::{Object, Workload};
use rmmap_pages::Grid;
use std::fs;

/// The page, relative to the checkout.
const PAGE: &str = "Documentation/benchmark.rst";
/// The page with the tables that it has no room for.
const TABLES: &str = "Documentation/benchmark-tables.rst";
/// The hand-written head of the first.
const HEAD: &str = "tools/lab/src/bench/head.rst";
/// The place in the head for the table of rmmap's losses.
const LOSSES: &str = ".. losses";

/// The project's first page, relative to the checkout, and the marks around its part with figures.
const README: &str = "README.md";
const BEGIN: &str = "<!-- `tools/lab/lab bench --record` writes this -->\n";
const END: &str = "<!-- to here -->\n";
/// The number of losses that it names.
const NAMED: usize = 6;

/// Writes the page, and copies the pictures next to it.
pub fn record(project: &Project, results: &Results) -> Result<()> {
    let commit = results
        .commit
        .as_ref()
        .context("cannot record: rust/ or tools/ had changes that are not committed")?;
    ensure!(
        !results.quick,
        "cannot record a run with QUICK=1: run `make bench` without QUICK first"
    );
    let head = fs::read_to_string(project.root().join(HEAD))
        .with_context(|| format!("cannot read {HEAD}"))?;
    for (path, text) in [PAGE, TABLES].iter().zip(pages(&head, commit, results)) {
        fs::write(project.root().join(path), text)
            .with_context(|| format!("cannot write {path}"))?;
    }
    let first = fs::read_to_string(project.root().join(README))
        .with_context(|| format!("cannot read {README}"))?;
    fs::write(
        project.root().join(README),
        readme(&first, commit, results)?,
    )?;
    for name in PICTURES {
        let from = project.build(FOLDER).join(name);
        let to = project.root().join("Documentation").join(picture(name));
        fs::copy(&from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    println!("{PAGE}, {TABLES} and {README} have the figures of the last run");
    Ok(())
}

/// Returns the first page with the figures of this run: losses first.
fn readme(text: &str, commit: &str, results: &Results) -> Result<String> {
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("{README} lacks `{}`", BEGIN.trim()))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("{README} lacks `{}`", END.trim()))?;
    let losses = tables::losses(results);
    // Faults and memory are what a policy trades for instructions: the page has them.
    let is_named = |loss: &&Loss| loss.is_cost && loss.over_file >= LOST;
    let mut costs: Vec<_> = losses.iter().filter(is_named).collect();
    costs.sort_by(|a, b| b.over_file.total_cmp(&a.over_file));
    let mut part = format!(
        "On Linux {}, at commit {commit:.12}, of {}. Of the comparisons with other kinds of files and with \
         anonymous memory, rmmap loses {}; of instructions it loses most to another kind of file in:\n\n\
         | workload | `init_on_alloc` | rmmap | best file | rmmap / file | best anonymous | rmmap / anonymous |\n\
         |---|---|---|---|---|---|---|\n",
        results.kernel,
        tables::summary(results),
        losses.len()
    );
    for loss in costs.iter().take(NAMED) {
        part.push_str(&format!("| {} |\n", loss.row.join(" | ")));
    }
    Ok(format!("{before}{BEGIN}{part}{END}{after}"))
}

/// Returns the name of a picture beside the page.
fn picture(name: &str) -> String {
    format!("benchmark-{name}")
}

/// Returns the page and that with the other tables.
fn pages(head: &str, commit: &str, results: &Results) -> [String; 2] {
    let mut first = tables::all(results);
    let others = first.split_off(first.len().min(2));
    let judged = first.split_off(first.len().min(1));
    let rst = |grids: &[Grid]| -> String {
        let texts = grids.iter().map(|grid| format!("\n{}", grid.rst()));
        texts.collect()
    };
    let losses = rst(&first);
    let mut text = head.trim_end().replacen(LOSSES, losses.trim_start(), 1);
    text.push_str(&format!(
        "\n\nThe figures on this page were measured on Linux {}, at commit {commit:.12} of rmmap, in the order \
         of ``--seed {}``. :doc:`benchmark-tables` has the other tables.\n",
        results.kernel, results.seed
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
    text.push_str(&rst(&judged));
    text.push_str(&rst(&names));
    let tables = rst(&others);
    let title = "What memory costs: all tables";
    let line = "=".repeat(title.len());
    let licence = head.lines().next().unwrap_or_default();
    let tables = format!(
        "{licence}\n..\n   `tools/lab/lab bench --record` generates this page.\n\n\
         {line}\n{title}\n{line}\n\nThe tables of the run that :doc:`benchmark` explains.\n{tables}"
    );
    [text, tables]
}

/// Returns a table of the meanings of names.
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
    use super::super::results::tests::{record, results};
    use super::*;
    use rmmap_bench::plan::COMPARED;

    #[test]
    fn the_page_has_figures_and_explains_names() {
        let records = vec![
            record("rmmap", "populate", COMPARED, 4163.2),
            record("memfd", "populate", COMPARED, 4161.0),
        ];
        let [text, tables] = pages("Head\n\n.. losses\n\nMore\n", "c0ffee", &results(records));
        for part in [
            "Head\n\nWhere rmmap loses\n====",
            "\n\nMore\n\nThe figures on this page were measured on Linux 7.3.4, at commit c0ffee of rmmap",
            "A memfd",
            "image:: benchmark-sizes.svg",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("\"4163\""), "{text}");
        assert!(
            tables.contains("\nPage faults per page touched (init_on_alloc=0)\n===="),
            "{tables}"
        );
    }

    #[test]
    fn the_first_page_names_losses() {
        let records = vec![
            record("rmmap", "populate", COMPARED, 4163.2),
            record("memfd", "populate", COMPARED, 4161.0),
        ];
        let old = format!("a\n{BEGIN}old\n{END}b\n");
        let text = readme(&old, "c0ffee", &results(records)).unwrap();
        assert!(text.starts_with("a\n<!--") && text.ends_with("here -->\nb\n"));
        assert!(text.contains("| populate above zeroing | 0 | 163 | 161 (memfd) | 1.014 | - | - |"));
        assert!(!text.contains("old") && text.contains("rmmap loses 1;"));
        assert!(readme("a\n", "c0ffee", &results(vec![])).is_err());
    }

    #[test]
    fn a_short_run_or_an_unnamed_one_is_not_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let error = |results: &Results| {
            let project = Project::at(dir.path());
            super::record(&project, results).unwrap_err().to_string()
        };
        let mut short = results(vec![]);
        short.quick = true;
        assert!(error(&short).contains("without QUICK"));
        short.commit = None;
        assert!(error(&short).contains("not committed"));
    }
}
