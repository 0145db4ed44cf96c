// SPDX-License-Identifier: GPL-2.0
//! The branches of the mmap path: the table in `Documentation/mmap-path.rst`, and the page that the
//! guide includes in `Documentation/mmap-path-rows.rst`, with triggers and outcomes.
//!
//! The sources: `tools/testing/rows/*.toml` has the branches, `rmmap-selftest --list --json` the
//! tests, and `outcomes.toml`, a summary of `build/test/results.json`, the outcomes.

mod outcomes;
mod page;
mod table;

use crate::generated;
use crate::project::Project;
use crate::test::origin::{self, Origin};
use anyhow::{Context, Result};
use outcomes::Outcomes;
use std::fs;
use table::Table;

/// The page with the table, relative to the checkout.
const PAGE: &str = "Documentation/mmap-path.rst";
/// The line of the page after which the table begins; it continues to the page's end.
const MARK: &str = "\n.. The rest of this page is generated: tools/lab/lab mmap-path\n\n";
/// The file that the guide includes, below `build/`.
const ROWS: &str = "doc/mmap-path-rows.rst";
/// The outcomes of the tests, relative to the checkout.
const OUTCOMES: &str = "tools/testing/rows/outcomes.toml";
/// The results of the last run, below `build/`.
const RESULTS: &str = "test/results.json";

/// Arguments of `rmmap-lab mmap-path`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only check whether table and outcomes are up to date.
    #[arg(long, conflicts_with = "record")]
    check: bool,
    /// First store the outcomes of the last `make test`.
    #[arg(long)]
    record: bool,
}

/// Writes the table, or checks whether that is needed. Returns the exit status.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    if args.check {
        return Ok(generated::report(difference(project)?.as_deref()));
    }
    if args.record {
        record(project)?;
    }
    write(project, PAGE, &generate(project)?)?;
    println!("generated the table in {PAGE} from tools/testing");
    Ok(0)
}

/// Returns a difference of the table or the outcomes, if there is one.
pub fn difference(project: &Project) -> Result<Option<String>> {
    // In a checkout without git later changes are unknown.
    if let Ok(rust) = origin::rust_tree(project) {
        let recorded = outcomes(project)?;
        if recorded.rust != rust {
            return Ok(Some(format!(
                "{OUTCOMES} was recorded on commit {}, and rust/ has changed since: run `make test`, \
                 then `tools/lab/lab mmap-path --record`",
                recorded.commit
            )));
        }
    }
    let remedy = "make it with `tools/lab/lab mmap-path`";
    let say = |_: &str| " is not up to date".to_owned();
    let wanted = generate(project)?;
    Ok(generated::difference(project, PAGE, &wanted, remedy, say))
}

/// Returns the page with the current table.
fn generate(project: &Project) -> Result<String> {
    let page = read(project, PAGE)?;
    let (head, _) = page
        .split_once(MARK)
        .with_context(|| format!("{PAGE} lacks the line `{}`", MARK.trim()))?;
    let table = page::branches(&Table::ask(project)?)?;
    Ok(format!("{head}{MARK}{}\n", table.trim_end()))
}

/// Writes the file that the guide includes.
pub fn write_rows(project: &Project) -> Result<()> {
    let rows = page::rows(&Table::ask(project)?, &outcomes(project)?)?;
    let path = project.build(ROWS);
    fs::create_dir_all(project.build("doc"))?;
    fs::write(&path, rows).with_context(|| format!("cannot write {}", path.display()))
}

/// Returns the recorded outcomes.
fn outcomes(project: &Project) -> Result<Outcomes> {
    let text = read(project, OUTCOMES)?;
    Outcomes::parse(&text).with_context(|| format!("cannot use {OUTCOMES}"))
}

/// Makes the summary of the last run's results.
fn record(project: &Project) -> Result<()> {
    let path = project.build(RESULTS);
    let why = || format!("cannot read {}: run `make test` first", path.display());
    let results = fs::read_to_string(&path).with_context(why)?;
    let outcomes = Outcomes::of_results(&results, &Origin::read(project)?, &Table::ask(project)?)
        .with_context(|| format!("cannot use {}", path.display()))?;
    write(project, OUTCOMES, &outcomes.render()?)?;
    println!("{OUTCOMES}: {} tests", outcomes.len());
    Ok(())
}

fn read(project: &Project, name: &str) -> Result<String> {
    fs::read_to_string(project.root().join(name)).with_context(|| format!("cannot read {name}"))
}

fn write(project: &Project, name: &str, text: &str) -> Result<()> {
    fs::write(project.root().join(name), text).with_context(|| format!("cannot write {name}"))
}
