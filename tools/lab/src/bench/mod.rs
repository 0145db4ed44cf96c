// SPDX-License-Identifier: GPL-2.0
//! `make bench`: what memory of `/dev/rmmap` costs, beside memfd, ramfs, huge and anonymous pages.
//!
//! `rmmap bench` measures, in two guests with the stock kernel: one whose clock counts instructions,
//! so that every run gives the same figures; and one with two processors, for threads.
//!
//! | file | what it does |
//! |---|---|
//! | [`results`] | what was measured: `build/bench/results.json` |
//! | [`bars`] | performance targets, and whether rmmap meets them |
//! | [`grid`] | tables, as text and for Sphinx |
//! | [`tables`] | which tables there are |
//! | [`plot`] | the same as pictures |
//! | [`page`] | `Documentation/benchmark.rst` |

mod bars;
mod grid;
mod page;
mod plot;
mod results;
mod tables;

use crate::build::{self, Ready};
use crate::project::Project;
use crate::steps::{Progress, Steps};
use crate::vm::{Stream, Vm};
use anyhow::{bail, ensure, Context, Result};
use results::Results;
use rmmap_bench::{Record, Unit};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Exit status: rmmap misses a performance target.
const MISSED: u8 = 1;

/// Where results go, below `build/`.
const FOLDER: &str = "bench";

/// Measure what memory of rmmap costs, next to memfd, ramfs, huge and anonymous pages.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Measure only the performance targets, at small sizes: three minutes instead of half an hour.
    #[arg(long)]
    quick: bool,
    /// Measure only this part, and take the other from the last run.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Measure nothing: write the last results to Documentation/benchmark.rst.
    #[arg(long, conflicts_with_all = ["quick", "only"])]
    record: bool,
}

/// What one guest measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Instructions, in a guest whose clock counts them.
    Instructions,
    /// Several threads by the clock, which needs quiet processors.
    Threads,
}

impl Part {
    /// What this part's records are in.
    fn unit(self) -> Unit {
        match self {
            Part::Instructions => Unit::Instructions,
            Part::Threads => Unit::Nanoseconds,
        }
    }
}

/// A guest that measures: its commands and limits.
struct Guest {
    part: Part,
    /// One after the other: arguments of `rmmap bench`.
    runs: Vec<Vec<String>>,
    memory: u32,
    limit: Duration,
}

/// Measures, judges, reports. Returns the exit status.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    let folder = project.build(FOLDER);
    if args.record {
        let results = Results::read(&folder)?.judged();
        plot::draw(&folder, &results)?;
        page::record(project, &results)?;
        return Ok(0);
    }
    fs::create_dir_all(&folder)?;
    let steps = Steps::begin(project)?;
    let ready = build::ready(project, &steps)?;
    let bare = build::without_statistics(project, &steps)?;
    drop(steps);
    let mut records = Vec::new();
    for guest in guests(args.quick, &bare)? {
        if args.only.is_none_or(|part| part == guest.part) {
            records.extend(measure(project, &ready, &guest)?);
        } else {
            let last = Results::read(&folder)?.records;
            records.extend(last.into_iter().filter(|r| r.unit == guest.part.unit()));
        }
    }
    let results = Results::new(kernel(&ready)?, args.quick, records).judged();
    results.write(&folder)?;
    plot::draw(&folder, &results)?;
    let text = tables::all(&results)
        .iter()
        .map(grid::Grid::text)
        .collect::<Vec<_>>()
        .join("\n");
    fs::write(folder.join("results.txt"), &text)?;
    println!("{text}");
    let missed = results.bars.iter().filter(|bar| !bar.met).count();
    println!(
        "{} of {} performance targets met, {} not measured (results: {})",
        results.bars.len() - missed,
        results.bars.len(),
        bars::BARS.len() - results.bars.len(),
        folder.display()
    );
    Ok(if missed == 0 { 0 } else { MISSED })
}

/// The guests, and what each measures.
fn guests(quick: bool, bare: &Path) -> Result<Vec<Guest>> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let set = if quick { "quick" } else { "full" };
    let statistics = words("--instructions --set statistics");
    let mut without = statistics.clone();
    without.push("--module".to_owned());
    without.push(bare.to_str().context("a path is not UTF-8")?.to_owned());
    without.push(format!("--suffix={}", bars::BARE));
    let few = if quick { " --object rmmap" } else { "" };
    Ok(vec![
        Guest {
            part: Part::Instructions,
            runs: vec![
                words(&format!("--instructions --set {set}")),
                statistics,
                without,
            ],
            // Objects are at most 4 GiB, and a region is at most half of memory.
            memory: if quick { 2048 } else { 10240 },
            limit: Duration::from_secs(if quick { 900 } else { 5400 }),
        },
        Guest {
            part: Part::Threads,
            runs: vec![words(&format!("--threads 2{few}"))],
            memory: 2048,
            limit: Duration::from_secs(900),
        },
    ])
}

/// Runs a guest; shows what it is at, or says how it failed.
fn measure(project: &Project, ready: &Ready, guest: &Guest) -> Result<Vec<Record>> {
    let program = project.program("rmmap");
    let program = shlex::try_quote(program.to_str().context("a path is not UTF-8")?)?.into_owned();
    let mut commands = Vec::new();
    for run in &guest.runs {
        let words = shlex::try_join(run.iter().map(String::as_str))?;
        commands.push(format!("{program} bench --json {words}"));
    }
    let mut vm = Vm::new("bench", ready.kernel.clone()).timeout(guest.limit);
    vm.insmod.push(vec![ready.module.display().to_string()]);
    vm.icount = guest.part == Part::Instructions;
    vm.memory = guest.memory;
    let progress = Progress::begin(match guest.part {
        Part::Instructions => "counting instructions",
        Part::Threads => "timing threads",
    });
    let (mut said, mut told) = (Vec::new(), Vec::new());
    let script = commands.join(" && ");
    let outcome = vm.run_with(
        project,
        &["sh", "-c", &script],
        &mut |stream, bytes| match stream {
            Stream::Stdout => said.extend_from_slice(bytes),
            Stream::Stderr => {
                told.extend_from_slice(bytes);
                if let Some(line) = last_line(&told) {
                    progress.at(line);
                }
            }
        },
    );
    progress.end(outcome.is_ok());
    let outcome = outcome?;
    if outcome.ending.exit_code() != 0 {
        let told = String::from_utf8_lossy(&told);
        let reasons = told.lines().rev().take(5).collect::<Vec<_>>();
        let reasons: Vec<_> = reasons.into_iter().rev().collect();
        bail!(
            "cannot measure: {}. Last lines of `rmmap bench`:\n{}\nKernel log: {}",
            outcome.ending,
            reasons.join("\n"),
            outcome.kernel_log().display()
        );
    }
    let said = String::from_utf8_lossy(&said);
    let records = said
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<_>, _>>();
    let records = records.context("`rmmap bench` printed a line that is not a result")?;
    ensure!(!records.is_empty(), "`rmmap bench` printed no results");
    Ok(records)
}

/// The last complete line.
fn last_line(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let (complete, _) = text.rsplit_once('\n')?;
    complete.lines().last()
}

/// The version of the kernel.
fn kernel(ready: &Ready) -> Result<String> {
    let modules = ready.kernel.modules.as_deref();
    let version = modules
        .and_then(Path::file_name)
        .context("the kernel has no version")?;
    Ok(version.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_complete() {
        assert_eq!(last_line(b"a\nb\nc"), Some("b"));
        assert_eq!(last_line(b"a"), None);
    }

    #[test]
    fn guests_are_told_what_rmmap_understands() {
        use clap::Parser;
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            _args: rmmap_bench::Args,
        }
        for quick in [false, true] {
            for guest in guests(quick, Path::new("/a b/rmmap.ko")).unwrap() {
                for run in &guest.runs {
                    let line = std::iter::once("bench").chain(run.iter().map(String::as_str));
                    Line::try_parse_from(line).map(drop).unwrap();
                }
            }
        }
    }
}
