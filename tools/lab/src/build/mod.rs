// SPDX-License-Identifier: GPL-2.0
//! The lab's products: the kernels with their build folders, and the modules. (`start` compiles the
//! programs earlier, together with this one.)
//!
//! Each part is one step or a few; all of them are quick if nothing changed.

mod apt;
mod arm64;
mod choose;
mod coverage;
mod debug;
mod folder;
mod module;
pub mod own;
mod pip;
mod stock;

pub use choose::is_default;
pub use coverage::coverage;
pub use debug::debug;
pub use module::{module, modules_in, saved_command};
pub use stock::{stock, Stock};

use crate::project::{self, Project};
use crate::steps::{command, Inputs, Steps};
use crate::vm::Kernel;
use anyhow::{Context, Result};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;

/// A kernel, ready to boot, and the module built for it.
pub struct Ready {
    /// The kernel to boot.
    pub kernel: Kernel,
    /// The module.
    pub module: PathBuf,
}

/// Makes everything that a run on the stock kernel needs, or on the one that KERNEL names.
pub fn ready(project: &Project, steps: &Steps) -> Result<Ready> {
    if let Some(kdir) = choose::folder() {
        return folder::ready(project, steps, &kdir);
    }
    if let Some(page_size) = project::arm64() {
        return arm64::ready(project, steps, page_size);
    }
    let stock = stock_and_virtme(project, steps)?;
    let kernel = stock.kernel()?;
    apt::virtiofsd(steps, &kernel)?;
    let module = module(project, steps, &stock.label, &stock.kdir)?;
    let kernel = module::with_ours(project, steps, &stock.label, kernel, &module)?;
    Ok(Ready { kernel, module })
}

/// Gets the stock kernel, and meanwhile virtme-ng.
fn stock_and_virtme(project: &Project, steps: &Steps) -> Result<Stock> {
    thread::scope(|scope| {
        let virtme = scope.spawn(|| virtme_ng(steps));
        let stock = stock(project, steps)?;
        let virtme = virtme.join().unwrap_or_else(|panic| resume_unwind(panic));
        virtme.map(|()| stock)
    })
}

/// Makes the module for the stock kernel once more, without statistics (`STATS=n`), in
/// `build/modules/stock-nostats`, to measure their cost. Returns `rmmap.ko`.
pub fn without_statistics(project: &Project, steps: &Steps) -> Result<PathBuf> {
    let stock = stock(project, steps)?;
    let name = format!("{}-nostats", stock.label);
    module::module_with(project, steps, &name, &stock.kdir, &["STATS=n"])
}

/// Makes everything that a run on the debug kernel needs.
pub fn ready_debug(project: &Project, steps: &Steps) -> Result<Ready> {
    anyhow::ensure!(
        project::arm64().is_none(),
        "there is no debug kernel for arm64: test with TESTS='--kernel stock'"
    );
    let stock = stock_and_virtme(project, steps)?;
    let debug = debug().build(project, steps, &stock)?;
    let (kernel, kdir) = (debug.kernel(), debug.kdir);
    let module = module(project, steps, "debug", &kdir)?;
    Ok(Ready { kernel, module })
}

/// Makes everything that a run on the kernel needs whose `files` count their executions, as the
/// module's code does. Also returns the kernel's build folder.
pub fn ready_coverage(
    project: &Project,
    steps: &Steps,
    files: &[String],
) -> Result<(Ready, Stock, PathBuf)> {
    let stock = stock_and_virtme(project, steps)?;
    pip::install(steps, &pip::GCOVR)?;
    let own = coverage(files).build(project, steps, &stock)?;
    let (kernel, kdir) = (own.kernel(), own.kdir);
    let words = coverage::module_words();
    let module = module::module_with(project, steps, "coverage", &kdir, &words)?;
    Ok((Ready { kernel, module }, stock, kdir))
}

/// Installs virtme-ng, which boots kernels.
pub fn virtme_ng(steps: &Steps) -> Result<()> {
    pip::install(steps, &pip::VIRTME_NG)
}

/// Installs the program that makes reports from gcov's output, and returns it.
pub const GCOVR: &str = pip::GCOVR.program;

/// Returns the inputs of files in the root, and of facts from its package lists: the root's
/// identity.
fn root_inputs() -> Result<Inputs> {
    Inputs::new().file("/.stamp".as_ref())
}

/// Returns the inputs of long compilations: the compilers, which another root may share.
pub fn compiler_inputs() -> Result<Inputs> {
    let words = "dpkg-query --show gcc-14 clang lld binutils rustc rust-src bindgen";
    let output = command(words).output().context("cannot run dpkg-query")?;
    anyhow::ensure!(
        output.status.success(),
        "the root lacks a compiler: run `make distclean`"
    );
    Ok(Inputs::new().text(&String::from_utf8_lossy(&output.stdout)))
}
