// SPDX-License-Identifier: GPL-2.0

//! The tutorial, followed word by word: `Documentation/writing-a-driver.rst`.
//!
//! | file | what it does |
//! |---|---|
//! | [`page`] | takes the marked blocks out of the page |
//! | [`lay`] | lays files out and builds them, in a checkout and in a folder of their own |
//! | [`explain`] | says which block a compiler complains of |
//! | [`guest`] | runs the commands in a virtual machine, and compares what they print |

mod explain;
mod guest;
mod lay;
mod page;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::ktap::Test;
use super::record::Outcome;
use crate::build;
use crate::project::Project;
use crate::steps::Steps;
use page::Page;

/// The page, relative to the checkout.
const PAGE: &str = "Documentation/writing-a-driver.rst";

/// Whether one of `patterns` asks for these tests; they only make sense together.
pub fn is_picked(patterns: &[String]) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| "tutorial".contains(pattern))
}

/// Does what the page says. Results go to `sink`. `steps` is given back before the guest starts.
pub fn run(
    project: &Project,
    steps: Arc<Steps>,
    sink: &mut dyn FnMut(Test) -> Result<()>,
) -> Result<()> {
    let page = Page::read(&project.root().join(PAGE))?;
    let stock = build::stock(project, &steps)?;
    build::virtme_ng(&steps)?;

    let begun = Instant::now();
    let (checkout, verdict) = lay::checkout(project, &steps, &page, &stock.kdir)?;
    let checkout_builds = verdict.is_none();
    sink(test("build-in-a-checkout", begun, verdict))?;

    let begun = Instant::now();
    let (own, verdict) = lay::own_folder(project, &steps, &page, &stock.kdir)?;
    let own_builds = verdict.is_none();
    sink(test("build-in-an-own-folder", begun, verdict))?;
    drop(steps);

    if checkout_builds && own_builds {
        guest::run(project, &page, stock.kernel(), &checkout, &own, sink)?;
    }
    Ok(())
}

/// A result: passed, when there is no reason why not.
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
