// SPDX-License-Identifier: GPL-2.0
//! The module, built for one kernel.

use crate::project::Project;
use crate::steps::{Inputs, Steps};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Kbuild reads of the checkout.
const SOURCES: &[&str] = &["rust", "samples", "tools/testing/ctl"];

/// Builds the project's modules in `kdir` into `build/modules/NAME`. Returns `rmmap.ko`.
pub fn module(project: &Project, steps: &Steps, name: &str, kdir: &Path) -> Result<PathBuf> {
    module_with(project, steps, name, kdir, &[])
}

/// The same with more `words` for make.
pub fn module_with(
    project: &Project,
    steps: &Steps,
    name: &str,
    kdir: &Path,
    words: &[&str],
) -> Result<PathBuf> {
    let root = project.root();
    let mut inputs = Inputs::new()
        .text(&kdir.to_string_lossy())
        .file(&kdir.join("Module.symvers"))
        .context("the kernel's build folder is not complete")?
        .file(&root.join("Kbuild"))?;
    for folder in SOURCES
        .iter()
        .map(|name| root.join(name))
        .filter(|path| path.exists())
    {
        inputs = inputs.tree(&folder)?;
    }
    for word in words {
        inputs = inputs.text(word);
    }
    let module = project.module(name);
    steps.step(
        &format!("building the module ({name})"),
        &inputs,
        &[&module],
        |log| {
            let out = module.parent().context("the module has no folder")?;
            fs::create_dir_all(out)?;
            let mut make = Command::new("make");
            make.arg("-C").arg(kdir).arg(format!("--jobs={}", jobs()));
            make.arg(format!("M={}", root.display()))
                .arg(format!("MO={}", out.display()));
            log.run(make.args(words).arg("modules"))?;
            // Debug information makes loading take twice as long, and some tests load often.
            let mut strip = Command::new("strip");
            log.run(strip.arg("--strip-debug").args(modules_in(out)?))
        },
    )?;
    Ok(module)
}

/// Lists the modules in `folder`, sorted.
pub fn modules_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut modules = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ko") {
            modules.push(path);
        }
    }
    modules.sort();
    Ok(modules)
}

/// One job per processor.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
