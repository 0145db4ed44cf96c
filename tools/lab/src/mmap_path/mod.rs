// SPDX-License-Identifier: GPL-2.0
//! `Documentation/mmap-path.rst`: the branches of the mmap path, the tests that prove them, and how
//! these ended in the recorded run.
//!
//! All of it is known elsewhere: branches in `tools/testing/selftest/rows/*.toml`, tests by
//! `rmmap selftest --list --json`, outcomes in `rows/outcomes.toml`, which is a summary of `build/test/results.json`.

mod outcomes;
mod page;
pub mod rst;
mod table;

use crate::generated;
use crate::project::Project;
use crate::test::origin::{self, Origin};
use anyhow::{Context, Result};
use outcomes::Outcomes;
use std::fs;
use table::Table;

/// The page, relative to the checkout.
pub const PAGE: &str = "Documentation/mmap-path.rst";
/// Its head, which is written by hand.
const HEAD: &str = "tools/lab/src/mmap_path/head.rst";
/// How the tests ended, relative to the checkout.
const OUTCOMES: &str = "tools/testing/selftest/rows/outcomes.toml";
/// The results of the last run, below `build/`.
const RESULTS: &str = "test/results.json";

/// Arguments of `rmmap-lab mmap-path`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only check whether the page is up to date.
    #[arg(long, conflicts_with = "record")]
    check: bool,
    /// First store the outcomes of the last `make test` in the page.
    #[arg(long)]
    record: bool,
}

/// Writes the page, or looks whether that is needed. Returns the exit status.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    if args.check {
        return Ok(generated::report(difference(project)?.as_deref()));
    }
    if args.record {
        record(project)?;
    }
    write(project, PAGE, &generate(project)?)?;
    println!("generated {PAGE} from tools/testing/selftest");
    Ok(0)
}

/// What is wrong with the page or the outcomes on it, if anything is.
pub fn difference(project: &Project) -> Result<Option<String>> {
    // A checkout without git has no later change to know of.
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

fn generate(project: &Project) -> Result<String> {
    let head = read(project, HEAD)?;
    page::render(&head, &Table::ask(project)?, &outcomes(project)?)
}

/// The recorded outcomes.
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
