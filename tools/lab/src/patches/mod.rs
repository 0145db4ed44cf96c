// SPDX-License-Identifier: GPL-2.0

//! `make patches`: the library as a series of patches against the lab's kernel, which tests that it
//! could go upstream.
//!
//! | file | what it does |
//! |---|---|
//! | [`series`] | the patches, as `tools/patches` writes them |
//! | [`place`] | copies of files, in their places in the tree |
//! | [`git`] | commits and mails; checks that they apply, and checkpatch.pl |
//! | [`mod@kernel`], [`guest`] | a kernel with the series, and its tests in a guest |

mod git;
mod guest;
mod kernel;
mod place;
mod series;

use std::fs;
use std::io::stdout;
use std::time::Instant;

use anyhow::{bail, Result};

use crate::build;
use crate::project::Project;
use crate::steps::Steps;
use crate::test::kunit;
use crate::test::record::{Outcome, Record};
use crate::test::report::Report;
use git::Repository;
use series::Series;

pub use guest::try_samples;

/// Exit status: a check failed.
const FAILED: u8 = 1;

/// Arguments of `rmmap-lab patches`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only make and check the patches; build and boot no kernel.
    #[arg(long)]
    only_series: bool,
    /// Build and boot a kernel after each patch, not only after the last.
    #[arg(long, conflicts_with = "only_series")]
    each: bool,
    /// With --each: begin at the patch of this number.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "each")]
    from: usize,
}

/// Makes the series and tests it. Returns the exit status; an error is a broken lab.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    let steps = Steps::begin(project)?;
    let stock = build::stock(project, &steps)?;
    let series = Series::read(project.root())?;
    let out = project.build("patches");
    fs::create_dir_all(&out)?;
    let repository = Repository::new(&out, project);
    steps.always("making the series", |log| {
        repository.make(&series, project.root(), &stock.source, &out, log)
    })?;
    let report = Report::new(out.join("results.json"), stdout().lock())?;
    report.begin("series", 0)?;
    // The first one is the cover letter.
    let mails = git::mails(&out)?.split_off(1);
    let begun = Instant::now();
    let applies = git::apply(&stock.source, &mails, &out.join("series.mbox"))?;
    report.add("series", record("series/applies", begun, applies))?;
    let begun = Instant::now();
    let complaint = git::checkpatch(&stock.source, &mails)?;
    report.add("series", record("series/checkpatch", begun, complaint))?;
    report.end("series")?;
    build::virtme_ng(&steps)?;
    drop(steps);
    let all = series.patches.len();
    let numbers = match (args.only_series, args.each) {
        (true, _) => 0..0,
        (_, false) => all..all + 1,
        (_, true) => args.from.max(1)..all + 1,
    };
    for number in numbers {
        let prefix = match args.each {
            true => format!("{number:04}/"),
            false => String::new(),
        };
        let group = format!("{prefix}kernel");
        report.begin(&group, 0)?;
        for record in try_patch(project, &repository, all - number, &prefix)? {
            report.add(&group, record)?;
        }
        report.end(&group)?;
    }
    println!("{all} patches in {}", out.display());
    let tally = report.finish()?;
    Ok(if tally.failed == 0 { 0 } else { FAILED })
}

/// Builds and boots the kernel with all patches except the last `without`.
fn try_patch(
    project: &Project,
    repository: &Repository,
    without: usize,
    prefix: &str,
) -> Result<Vec<Record>> {
    let steps = Steps::begin(project)?;
    let begun = Instant::now();
    steps.always("checking the patches out", |log| {
        repository.checkout(without, log)
    })?;
    let target = kernel::Target::new(project, repository.tree())?;
    let why = target.build(&steps)?;
    // From here on other runs may build.
    drop(steps);
    let is_built = why.is_none();
    let mut records = vec![record(&format!("{prefix}kernel/builds"), begun, why)];
    if is_built {
        // The suites of the `kernel` crate, those of the series, and the examples of both.
        let mut suites = kunit::suites_in(&repository.tree().join("rust/kernel/alloc"))?;
        let ours = repository.tree().join(place::KUNIT);
        if ours.exists() {
            suites.extend(kunit::suites_in(&ours)?);
        }
        if suites.is_empty() {
            bail!("the kernel's tree has no #[kunit_tests(...)]");
        }
        suites.push("rust_doctests_kernel".to_owned());
        let tests = guest::boot(project, target.kernel(), &suites, &target.modules())?;
        records.extend(tests.into_iter().map(|test| Record {
            id: format!("{prefix}{}", test.name),
            kernel: "patches".to_owned(),
            hook: None,
            policy: None,
            outcome: test.outcome,
            ms: test.ms.unwrap_or(0),
            rows: test.rows,
            message: test.message,
        }));
    }
    Ok(records)
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
