// SPDX-License-Identifier: GPL-2.0
//! What the lab makes: the kernels with their build folders, and the modules. (The programs are there
//! before: `start` compiles them together with this one.)
//!
//! Each part is one step or a few; all of them are quick when nothing changed.

mod apt;
mod choose;
mod debug;
mod module;
mod stock;
mod virtme_ng;

pub use debug::{built_debug, debug};
pub use module::{module, modules_in};
pub use stock::{stock, Stock};
pub use virtme_ng::virtme_ng;

use crate::project::Project;
use crate::steps::{Inputs, Steps};
use crate::vm::Kernel;
use anyhow::Result;
use std::path::PathBuf;

/// A kernel, ready to boot, and the module built for it.
pub struct Ready {
    /// What to boot.
    pub kernel: Kernel,
    /// The module.
    pub module: PathBuf,
}

/// Makes everything that a run on the stock kernel needs.
pub fn ready(project: &Project, steps: &Steps) -> Result<Ready> {
    let stock = stock(project, steps)?;
    virtme_ng(steps)?;
    let module = module(project, steps, "stock", &stock.kdir)?;
    Ok(Ready {
        kernel: stock.kernel(),
        module,
    })
}

/// Makes everything that a run on the debug kernel needs.
pub fn ready_debug(project: &Project, steps: &Steps) -> Result<Ready> {
    let stock = stock(project, steps)?;
    virtme_ng(steps)?;
    let debug = debug(project, steps, &stock)?;
    let module = module(project, steps, "debug", &debug.kdir)?;
    Ok(Ready {
        kernel: debug.kernel(),
        module,
    })
}

/// Inputs that hold for everything made with the root's programs: which root it is.
fn root_inputs() -> Result<Inputs> {
    Inputs::new().file("/.stamp".as_ref())
}
