// SPDX-License-Identifier: GPL-2.0
//! A kernel of one's own: `KERNEL=DIR` names the folder in which it was built.

use super::{apt, module, virtme_ng, Ready};
use crate::project::Project;
use crate::steps::Steps;
use crate::vm::Kernel;
use anyhow::{ensure, Result};
use rmmap_matrix::config::needs_virtiofs;
use std::path::Path;

/// Makes everything that a run on the kernel in `kdir` needs, which must have all of it built in.
pub fn ready(project: &Project, steps: &Steps, kdir: &Path) -> Result<Ready> {
    let config = kdir.join(".config");
    let mut kernel = Kernel::built_in(kdir);
    ensure!(
        kernel.image.exists(),
        "there is no {}: build the kernel first",
        kernel.image.display()
    );
    kernel.virtiofs = needs_virtiofs(&config, "y")?;
    virtme_ng(steps)?;
    apt::virtiofsd(steps, &kernel)?;
    let name = format!("own{}", kdir.display()).replace('/', "-");
    let module = module::module(project, steps, &name, kdir)?;
    Ok(Ready { kernel, module })
}
