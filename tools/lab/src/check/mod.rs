// SPDX-License-Identifier: GPL-2.0
//! `make check`: checks of the code that run no kernel.
//!
//! Each check is a function. Its result is one line, and the reasons if it failed. [`ALL`] lists
//! the checks.

mod lab;
mod layers;
mod programs;
mod safety;
mod texts;

use crate::mmap_path;
use crate::project::Project;
use crate::steps::{Progress, Steps};
use crate::test::record::{Outcome, Tally};
use anyhow::{bail, Result};
use lab::Lab;
use std::time::Instant;

/// Arguments of `rmmap-lab check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run only this check; may be given more than once.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// List the checks.
    #[arg(long)]
    list: bool,
}

/// The result of a check.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// These complaints; the check passes if there are none.
    Complaints(Vec<String>),
    /// The check was not made, for this reason.
    Skipped(String),
}

impl Found {
    /// Returns a result without complaints.
    fn nothing() -> Self {
        Self::Complaints(Vec::new())
    }
}

/// Name, description, whether it needs the stock kernel's build folder, function.
type Check = (
    &'static str,
    &'static str,
    bool,
    fn(&Lab<'_>) -> Result<Found>,
);

/// All checks, the quick ones first.
#[rustfmt::skip]
const ALL: &[Check] = &[
    ("spdx", "each file names its licence", false, texts::spdx),
    ("hosts", "no file names a registry, a mirror or an unknown host", false, texts::hosts),
    ("size", "source files stay small, shell scripts tiny", false, texts::size),
    ("links", "the pages at the top name files that exist", false, texts::links),
    ("words", "pages, messages and comments avoid phrases that make readers stop", false, texts::words),
    ("unsafe", "only the allowed folders contain unsafe code", false, safety::check),
    ("layers", "no circle among the library's folders, nor among the driver's files", false, layers::check),
    ("rustfmt", "all Rust code is formatted", false, programs::rustfmt),
    ("shellcheck", "shellcheck finds nothing", false, programs::shellcheck),
    ("uapi-header", "the C header compiles and means what the Rust definition does", false, programs::uapi_header),
    ("mmap-path", "the page of the mmap path is up to date", false, mmap_path),
    ("clippy", "clippy finds nothing in userspace code", false, programs::clippy),
    ("checkpatch", "the kernel's checkpatch.pl finds nothing in any file", true, programs::checkpatch),
    ("commits", "checkpatch.pl finds nothing in commits that are not upstream yet", true, programs::commits),
    ("clippy-stock", "the modules compile for the stock kernel without warnings", true, programs::clippy_stock),
    ("clippy-debug", "the same for the debug kernel, with the KUnit suites", true, programs::clippy_debug),
    ("doc-userspace", "rustdoc of the programs, no broken links", false, programs::doc_userspace),
    ("doc-kernel", "rustdoc of the modules, no broken links", true, programs::doc_kernel),
    ("doc-guide", "the guide in Documentation/, no broken references", false, programs::doc_guide),
];

/// Checks that `Documentation/mmap-path.rst` is the page that rows, tests and recorded outcomes
/// make.
fn mmap_path(lab: &Lab<'_>) -> Result<Found> {
    let difference = mmap_path::difference(lab.project)?;
    Ok(Found::Complaints(difference.into_iter().collect()))
}

/// Runs the selected checks, even after one failed. Returns the exit status; an error is a check
/// that could not be made.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    if args.list {
        for (name, about, ..) in ALL {
            println!("{name:14} {about}");
        }
        return Ok(0);
    }
    let chosen = choose(&args.only)?;
    let steps = Steps::begin(project)?;
    let mut lab = Lab::new(project, &steps)?;
    let mut tally = Tally::default();
    let mut broken = Ok(());
    for (name, _, needs_kernel, check) in chosen {
        if *needs_kernel {
            lab.prepare_kernel()?;
        }
        let begun = Instant::now();
        let progress = Progress::begin(&format!("checking {name}"));
        let found = check(&lab);
        progress.end(false);
        let line = |word| println!("{word} {name:14} {:6.1} s", begun.elapsed().as_secs_f64());
        tally.add(match found {
            Ok(Found::Complaints(list)) if list.is_empty() => {
                line("ok  ");
                Outcome::Pass
            }
            Ok(Found::Skipped(why)) => {
                println!("skip {name:14} {why}");
                Outcome::Skip
            }
            Ok(Found::Complaints(list)) => {
                line("FAIL");
                print!("{}", indented(&list.join("\n")));
                Outcome::Fail
            }
            Err(error) => {
                line("FAIL");
                broken = broken.and(Err(error.context(format!("cannot check {name}"))));
                Outcome::Fail
            }
        });
    }
    println!("{tally}");
    broken.map(|()| u8::from(tally.failed > 0))
}

fn choose(names: &[String]) -> Result<Vec<&'static Check>> {
    let is_known = |name: &str| ALL.iter().any(|check| check.0 == name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        bail!("there is no check `{unknown}`: `make check CHECKS=--list` lists all");
    }
    let wanted = |check: &&Check| names.is_empty() || names.iter().any(|name| name == check.0);
    Ok(ALL.iter().filter(wanted).collect())
}

/// The number of lines of a failed check's output that are shown; the log has all.
const SHOWN: usize = 60;

fn indented(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    let shown = lines.iter().take(SHOWN);
    let shown: Vec<_> = shown.map(|line| format!("     {line}\n")).collect();
    let mut shown = shown.concat();
    if let Some(more) = lines.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        shown.push_str(&format!("     ... and {more} lines more\n"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_chosen_in_the_order_of_the_list() {
        let names = |only: &[&str]| -> Vec<_> {
            let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
            let chosen = choose(&only).unwrap();
            chosen.iter().map(|check| check.0).collect()
        };
        assert_eq!(names(&["rustfmt", "spdx"]), ["spdx", "rustfmt"]);
        assert_eq!(names(&[]).len(), ALL.len());
    }

    #[test]
    fn unknown_name_is_refused() {
        let error = choose(&["spelling".to_owned()]).err().unwrap().to_string();
        assert!(error.contains("`spelling`"), "{error}");
    }

    #[test]
    fn long_output_is_cut_and_says_so() {
        let text = indented(&"x\n".repeat(SHOWN + 5));
        assert_eq!(text.lines().count(), SHOWN + 1);
        assert!(text.ends_with("5 lines more\n"));
        assert!(!indented("x\n").contains("more"));
    }
}
