// SPDX-License-Identifier: GPL-2.0

//! `make coverage`: which lines and branches of the mmap path the device tests run.
//!
//! | file | what it does |
//! |---|---|
//! | [`scope`] | what is reported: `tools/lab/coverage.toml` |
//! | [`c`] | the kernel's part: gcov and gcovr |
//! | [`rust`] | the module's part: LLVM's source-based coverage |
//! | [`function`] | what both come to: functions with their lines |
//! | [`why`] | what explains a line that never ran: `tools/lab/coverage-why.toml` |
//! | [`summary`] | the table, and `summary.json` |

mod c;
mod function;
mod rust;
mod scope;
mod summary;
mod why;

use anyhow::Result;

use crate::project::Project;
use crate::steps::Steps;
use crate::test::{self, Covered, Hook};
use scope::Scope;
use why::Explained;

/// Exit status: a line never ran and nothing explains it.
const UNEXPLAINED: u8 = 1;

/// Show which lines of the mmap path the device tests run.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Run only tests whose name contains PATTERN; may be given more than once. Lines that did not
    /// run need no reason then.
    #[arg(short = 't', long = "test", value_name = "PATTERN")]
    patterns: Vec<String>,

    /// Run the tests with this hook only.
    #[arg(long, value_enum)]
    hook: Option<Hook>,
}

impl Args {
    fn is_all(&self) -> bool {
        self.patterns.is_empty() && self.hook.is_none()
    }
}

/// Builds, runs, reports. Returns the exit status.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    let scope = Scope::read(project)?;
    let reasons = why::read(project)?;
    let covered = test::coverage(project, &args.patterns, args.hook, &scope.files())?;
    let functions = evaluate(project, &scope, &covered)?;
    let explained = why::explain(&functions, &reasons);
    summary::write(project, &functions)?;
    summary::print(&functions, &explained, args.is_all());
    Ok(verdict(args, &covered, &explained))
}

fn evaluate(
    project: &Project,
    scope: &Scope,
    covered: &Covered,
) -> Result<Vec<function::Function>> {
    let steps = Steps::begin(project)?;
    let mut functions = Vec::new();
    steps.always("reading the kernel's counters", |log| {
        functions.extend(c::read(project, log, scope, covered)?);
        Ok(())
    })?;
    steps.always("reading the module's counters", |log| {
        functions.extend(rust::read(project, log, covered)?);
        Ok(())
    })?;
    Ok(functions)
}

/// A failed test comes before a line that is not explained: the line may be its fault.
fn verdict(args: &Args, covered: &Covered, explained: &Explained) -> u8 {
    match covered.status {
        0 if args.is_all() && !explained.is_complete() => UNEXPLAINED,
        status => status,
    }
}
