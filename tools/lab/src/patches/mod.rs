// SPDX-License-Identifier: GPL-2.0

//! `make patches`: the library as a series of patches against the kernel that the lab has, so that
//! "could go upstream" is something that was tried.
//!
//! | file | what it does |
//! |---|---|
//! | [`ours`] | reads what goes upstream |
//! | [`place`], [`mod@rewrite`], [`uses`] | names and paths as they are in the tree |
//! | [`helpers`], [`kconfig`] | C wrappers, and entries in the build system |
//! | [`order`], [`series`], [`words`] | patches, each after what it needs, and what they say |
//! | [`tree`], [`git`] | files, commits, mails; whether they apply, and checkpatch.pl |
//! | [`mod@kernel`], [`guest`] | a kernel with all of it, and what that does when it runs |

mod git;
mod guest;
mod helpers;
mod kconfig;
mod kernel;
mod order;
mod ours;
mod place;
mod rewrite;
mod series;
mod tree;
mod uses;
mod words;

use std::fs;
use std::io::stdout;
use std::path::Path;
use std::time::Instant;

use anyhow::{bail, Context, Result};

use crate::build;
use crate::project::Project;
use crate::steps::{Inputs, Steps};
use crate::test::kunit;
use crate::test::record::{Outcome, Record};
use crate::test::report::Report;
use git::Repository;
use ours::Ours;
use tree::Tree;

pub use guest::try_samples;

/// Exit status: a check failed.
const FAILED: u8 = 1;

/// Arguments of `rmmap-lab patches`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only make and check the patches; build and boot no kernel.
    #[arg(long)]
    only_series: bool,
}

/// Makes the series and tries it. Returns the exit status; an error is a broken lab.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    let steps = Steps::begin(project)?;
    let stock = build::stock(project, &steps)?;
    let ours = Ours::read(project.root())?;
    let patches = series::make(&ours, &mut Tree::new(stock.source.clone()))?;
    let series = kernel::digest(&patches);
    let out = project.build("patches");
    fs::create_dir_all(&out)?;
    let repository = Repository::new(out.join("linux"), project);
    let inputs = Inputs::new().text(&series).text(&stock.version);
    steps.step(
        "making the series",
        &inputs,
        &[
            &repository.folder().join("Makefile"),
            &out.join("0000-cover-letter.patch"),
        ],
        |log| repository.make(&stock.source, &patches, &series::cover(&ours), &out, log),
    )?;
    let report = Report::new(out.join("results.json"), stdout().lock())?;
    report.begin("series", 0)?;
    // The first one is the letter.
    let mails = git::mails(&out)?.split_off(1);
    if mails.len() != patches.len() {
        bail!(
            "{} holds patches of another series: remove it",
            out.display()
        );
    }
    let begun = Instant::now();
    let applies = git::apply(&stock.source, &mails, &out.join("series.mbox"))?;
    report.add("series", record("series/applies", begun, applies))?;
    let begun = Instant::now();
    let complaint = git::checkpatch(&stock.source, &mails)?;
    report.add("series", record("series/checkpatch", begun, complaint))?;
    report.end("series")?;
    if !args.only_series {
        report.begin("kernel", 0)?;
        let target = kernel::Target::new(project, repository.folder(), &ours)?;
        build::virtme_ng(&steps)?;
        let begun = Instant::now();
        let why = target.build(&steps, &series)?;
        // Other runs may build again.
        drop(steps);
        let is_built = why.is_none();
        report.add("kernel", record("kernel/builds", begun, why))?;
        report.end("kernel")?;
        if is_built {
            report.begin("boot", 0)?;
            let suites = suites(project.root())?;
            let samples = ours.samples.keys().map(|name| target.module(name));
            let samples: Vec<_> = samples.collect();
            for test in guest::boot(project, target.kernel(), &suites, &samples)? {
                let record = Record {
                    id: test.name,
                    kernel: "patches".to_owned(),
                    hook: None,
                    policy: None,
                    outcome: test.outcome,
                    ms: test.ms.unwrap_or(0),
                    rows: test.rows,
                    message: test.message,
                };
                report.add("boot", record)?;
            }
            report.end("boot")?;
        }
    }
    println!("{} patches in {}", mails.len(), out.display());
    let tally = report.finish()?;
    Ok(if tally.failed == 0 { 0 } else { FAILED })
}

/// The KUnit suites that go upstream.
fn suites(root: &Path) -> Result<Vec<String>> {
    let suites = kunit::suites_in(&root.join("rust").join(place::KUNIT)).context("KUnit suites")?;
    if suites.is_empty() {
        bail!(
            "there is not one #[kunit_tests(...)] in rust/{}",
            place::KUNIT
        );
    }
    Ok(suites)
}

fn record(id: &str, begun: Instant, why_not: Option<String>) -> Record {
    Record {
        id: id.to_owned(),
        kernel: "patches".to_owned(),
        hook: None,
        policy: None,
        outcome: match why_not {
            None => Outcome::Pass,
            Some(_) => Outcome::Fail,
        },
        ms: begun.elapsed().as_millis() as u64,
        rows: Vec::new(),
        message: why_not.unwrap_or_default(),
    }
}
