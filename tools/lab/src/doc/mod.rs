// SPDX-License-Identifier: GPL-2.0
//! `make doc`: all documentation, below `build/doc`.

mod guide;
mod kernel;
mod srctree;
mod userspace;

pub use guide::build as guide;
pub use kernel::build as kernel;
pub use userspace::build as userspace;

use crate::build;
use crate::project::Project;
use crate::steps::Steps;
use anyhow::Result;

/// Builds all of it. Returns the exit status.
pub fn run(project: &Project) -> Result<u8> {
    let steps = Steps::begin(project)?;
    let stock = build::stock(project, &steps)?;
    steps.always("documenting the modules", |log| {
        kernel(log, project, &steps, &stock)
    })?;
    steps.always("documenting the programs", |log| userspace(log, project))?;
    steps.always("making the guide", |log| guide(log, project))?;
    for page in ["guide", "kernel/kernel_mm", "userspace/rmmap"] {
        println!("{}", folder(project, page).join("index.html").display());
    }
    Ok(0)
}

/// Returns the folder of a part of the documentation.
fn folder(project: &Project, part: &str) -> std::path::PathBuf {
    project.build("doc").join(part)
}
