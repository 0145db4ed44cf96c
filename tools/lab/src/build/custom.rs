// SPDX-License-Identifier: GPL-2.0
//! Kernels of the lab's own: a source, a few options on top of nothing, clang.

use super::own::lost;
use crate::steps::Log;
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Configures the kernel of `source` in `objects` with the options in the file `fragment`, all of
/// which must survive.
pub fn configure(source: &Path, objects: &Path, fragment: &Path, log: &mut Log) -> Result<()> {
    fs::create_dir_all(objects)?;
    let mut configure = make(source, objects);
    log.run(
        configure
            .env("KCONFIG_ALLCONFIG", fragment)
            .arg("allnoconfig"),
    )?;
    let config = fs::read_to_string(objects.join(".config")).context("make wrote no .config")?;
    let lost = lost(&fs::read_to_string(fragment)?, &config);
    if !lost.is_empty() {
        bail!(
            "the kernel's configuration has no place for these lines of {}: {}; name what \
             they depend on there, or take them out",
            fragment.display(),
            lost.join(", ")
        );
    }
    Ok(())
}

/// make, for the kernel of `source` in `objects`.
pub fn make(source: &Path, objects: &Path) -> Command {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut make = Command::new("make");
    make.arg("-C")
        .arg(source)
        .arg(format!("O={}", objects.display()));
    make.arg("LLVM=1").arg(format!("--jobs={jobs}"));
    make
}
