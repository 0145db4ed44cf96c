// SPDX-License-Identifier: GPL-2.0

//! Runs the commands of the tutorial, `Documentation/writing-a-driver.rst`. Its driver and its
//! program are files that every run builds: `samples/tutorial`.
//!
//! | file | what it does |
//! |---|---|
//! | [`page`] | extracts the marked blocks of the page |
//! | [`guest`] | runs the commands in a virtual machine, and compares what they print |

mod guest;
mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};

use super::ktap::Test;
use super::record::Outcome;
use crate::build;
use crate::project::Project;
use crate::steps::{Inputs, Steps};
use page::{Kind, Page};

/// The page, relative to the checkout.
const PAGE: &str = "Documentation/writing-a-driver.rst";

/// The files that the page's commands copy and link, relative to the checkout.
const SOURCES: [&str; 2] = ["samples/tutorial", "rust"];

/// The page's name for the project's folder.
const PLACEHOLDER: &str = "/path/to/rmmap";

/// Returns whether one of `patterns` selects these tests; they only make sense together.
pub fn is_picked(patterns: &[String]) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| "tutorial".contains(pattern))
}

/// Runs the page's commands. Results go to `sink`. It drops `steps` before the guest starts.
pub fn run(
    project: &Project,
    steps: Arc<Steps>,
    sink: &mut dyn FnMut(Test) -> Result<()>,
) -> Result<()> {
    let page = Page::read(&project.root().join(PAGE))?;
    let stock = build::stock(project, &steps)?;
    build::virtme_ng(&steps)?;
    build::module(project, &steps, &stock.label, &stock.kdir)?;

    let begun = Instant::now();
    let (own, verdict) = build_own(project, &steps, &page, &stock.kdir)?;
    let builds = verdict.is_none();
    sink(test("build-in-an-own-folder", begun, verdict))?;
    drop(steps);

    if builds {
        guest::run(project, &page, &stock, &own, sink)?;
    }
    Ok(())
}

/// Builds the driver in a folder of its own, by the page's commands. Returns the folder, and why that
/// failed if it did.
fn build_own(
    project: &Project,
    steps: &Steps,
    page: &Page,
    kdir: &Path,
) -> Result<(PathBuf, Option<String>)> {
    let folder = project.build("tutorial/own");
    let blocks = page.blocks().iter();
    let builds: Vec<_> = blocks.filter(|block| block.kind == Kind::Build).collect();
    let mut inputs = Inputs::new()
        .text(&kdir.to_string_lossy())
        .file(&kdir.join("Module.symvers"))?;
    for name in SOURCES {
        inputs = inputs.tree(&project.root().join(name))?;
    }
    for block in &builds {
        inputs = inputs.text(&block.text);
    }
    let module = folder.join("build/rust_mm_tutorial.ko");
    let mut why = None;
    let done = steps.step(
        "building the tutorial's module by its own commands",
        &inputs,
        &[&module],
        |log| {
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&folder)?;
            for block in &builds {
                let commands = block
                    .text
                    .replace(PLACEHOLDER, &project.root().to_string_lossy());
                let mut bash = Command::new("bash");
                bash.args(["-e", "-c", &commands]).current_dir(&folder);
                if let Err(error) = log.run(bash.env("KDIR", kdir)) {
                    why = Some(format!("{block}: {error:#}\n{}", log.text()));
                    return Err(error);
                }
            }
            Ok(())
        },
    );
    match (done, why) {
        (Err(error), None) => Err(error).context("cannot prepare the tutorial's folder"),
        (_, why) => Ok((folder, why)),
    }
}

/// Makes a result: passed, unless there is a reason for a failure.
fn test(name: &str, begun: Instant, why_not: Option<String>) -> Test {
    Test {
        name: name.to_owned(),
        outcome: match why_not {
            None => Outcome::Pass,
            Some(_) => Outcome::Fail,
        },
        ms: Some(begun.elapsed().as_millis() as u64),
        rows: Vec::new(),
        message: why_not.map_or_else(String::new, |why| format!("{PAGE}: {why}")),
    }
}
