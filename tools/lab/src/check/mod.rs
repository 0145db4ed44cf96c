// SPDX-License-Identifier: GPL-2.0
//! `make check`: checks of the code that run no kernel.
//!
//! Each check is a function in a file of its own, tells its verdict in one line and, when it
//! failed, why. [`ALL`] lists them.

mod checkpatch;
mod clippy;
mod commits;
mod docs;
mod files;
mod header;
mod hosts;
mod kernel;
mod lab;
mod links;
mod path;
mod rustfmt;
mod safety;
mod shell;
mod size;
mod spdx;
mod verdict;
mod words;

use crate::project::Project;
use crate::steps::{Progress, Steps};
use anyhow::{bail, Result};
use lab::Lab;
use std::time::Instant;
use verdict::{Tally, Verdict};

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

/// One check.
struct Check {
    name: &'static str,
    about: &'static str,
    /// Whether the stock kernel's build folder is needed.
    kernel: bool,
    run: fn(&Lab<'_>) -> Result<Verdict>,
}

/// All checks, the quick ones first.
const ALL: &[Check] = &[
    check("spdx", "each file names its licence", spdx::check),
    check(
        "hosts",
        "no file names a registry, a mirror or an unknown host",
        hosts::check,
    ),
    check(
        "size",
        "source files stay small, shell scripts tiny",
        size::check,
    ),
    check(
        "links",
        "README.md and CONTRIBUTING.rst name files that exist",
        links::check,
    ),
    check(
        "words",
        "pages, messages and comments avoid phrases that make readers stop",
        words::check,
    ),
    check(
        "unsafe",
        "only the allowed folders contain unsafe code",
        safety::check,
    ),
    check("rustfmt", "all Rust code is formatted", rustfmt::check),
    check("shellcheck", "shellcheck finds nothing", shell::check),
    check(
        "uapi-header",
        "the C header compiles and means what the Rust definition does",
        header::check,
    ),
    check(
        "mmap-path",
        "the page of the mmap path is up to date",
        path::check,
    ),
    check(
        "clippy",
        "clippy finds nothing in userspace code",
        clippy::check,
    ),
    needs_kernel(
        "checkpatch",
        "the kernel's checkpatch.pl finds nothing in any file",
        checkpatch::check,
    ),
    needs_kernel(
        "commits",
        "checkpatch.pl finds nothing in commits that are not upstream yet",
        commits::check,
    ),
    needs_kernel(
        "clippy-stock",
        "the modules compile for the stock kernel without warnings",
        kernel::stock,
    ),
    needs_kernel(
        "clippy-debug",
        "the same for the debug kernel, with the KUnit suites",
        kernel::debug,
    ),
    check(
        "doc-userspace",
        "rustdoc of the programs, no broken links",
        docs::userspace,
    ),
    needs_kernel(
        "doc-kernel",
        "rustdoc of the modules, no broken links",
        docs::kernel,
    ),
    check(
        "doc-guide",
        "the guide in Documentation/, no broken references",
        docs::guide,
    ),
];

const fn check(
    name: &'static str,
    about: &'static str,
    run: fn(&Lab<'_>) -> Result<Verdict>,
) -> Check {
    Check {
        name,
        about,
        kernel: false,
        run,
    }
}

const fn needs_kernel(
    name: &'static str,
    about: &'static str,
    run: fn(&Lab<'_>) -> Result<Verdict>,
) -> Check {
    Check {
        name,
        about,
        kernel: true,
        run,
    }
}

/// Runs the checks that were asked for, also after one failed. Returns the exit status.
pub fn run(project: &Project, args: &Args) -> Result<u8> {
    if args.list {
        for check in ALL {
            println!("{:14} {}", check.name, check.about);
        }
        return Ok(0);
    }
    let chosen = choose(&args.only)?;
    let steps = Steps::begin(project)?;
    let mut lab = Lab::new(project, &steps)?;
    let mut tally = Tally::default();
    for check in chosen {
        if check.kernel {
            lab.prepare_kernel()?;
        }
        let begun = Instant::now();
        let progress = Progress::begin(&format!("checking {}", check.name));
        let verdict = (check.run)(&lab);
        progress.end(false);
        tally.add(check.name, begun.elapsed(), verdict);
    }
    println!("{tally}");
    Ok(tally.exit_code())
}

fn choose(names: &[String]) -> Result<Vec<&'static Check>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !ALL.iter().any(|check| check.name == name.as_str()))
    {
        bail!("there is no check `{unknown}`: `make check CHECKS=--list` lists all");
    }
    let wanted = |check: &&Check| names.is_empty() || names.iter().any(|name| name == check.name);
    Ok(ALL.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_chosen_in_the_order_of_the_list() {
        let names = |only: &[&str]| -> Vec<_> {
            let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
            let chosen = choose(&only).unwrap();
            chosen.iter().map(|check| check.name).collect()
        };
        assert_eq!(names(&["rustfmt", "spdx"]), ["spdx", "rustfmt"]);
        assert_eq!(names(&[]).len(), ALL.len());
    }

    #[test]
    fn unknown_name_is_refused() {
        let error = choose(&["spelling".to_owned()]).err().unwrap().to_string();
        assert!(error.contains("`spelling`"), "{error}");
    }
}
