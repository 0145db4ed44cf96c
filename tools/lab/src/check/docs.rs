// SPDX-License-Identifier: GPL-2.0
//! The documentation builds, and no link in it leads nowhere.

use super::lab::Lab;
use super::verdict::Verdict;
use crate::doc;
use crate::steps::Log;
use anyhow::Result;

/// rustdoc of the programs.
pub fn userspace(lab: &Lab<'_>) -> Result<Verdict> {
    built(doc::userspace(&mut log(lab, "doc-userspace")?, lab.project))
}

/// rustdoc of the modules and their libraries.
pub fn kernel(lab: &Lab<'_>) -> Result<Verdict> {
    let mut log = log(lab, "doc-kernel")?;
    built(doc::kernel(&mut log, lab.project, lab.steps, lab.kernel()?))
}

/// The guide.
pub fn guide(lab: &Lab<'_>) -> Result<Verdict> {
    built(doc::guide(&mut log(lab, "doc-guide")?, lab.project))
}

fn log(lab: &Lab<'_>, name: &str) -> Result<Log> {
    Log::create(lab.project.build(format!("check/{name}.log")))
}

/// A documentation that is not built is the documentation's fault: its error says what is wrong.
fn built(result: Result<()>) -> Result<Verdict> {
    Ok(match result {
        Ok(()) => Verdict::Passed,
        Err(error) => Verdict::Failed(format!("{error:#}")),
    })
}
