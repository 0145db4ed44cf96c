// SPDX-License-Identifier: GPL-2.0
//! The module, built for one kernel.

use super::choose::named;
use crate::project::Project;
use crate::steps::{command, Inputs, Steps};
use crate::vm::Kernel;
use anyhow::{Context, Result};
use rmmap_matrix::config::make_words;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of the checkout that Kbuild reads.
const SOURCES: &[&str] = &["rust", "samples", "tools/testing/ctl"];

/// Builds the project's modules in `kdir` into `build/modules/NAME`. Returns `rmmap.ko`.
pub fn module(project: &Project, steps: &Steps, name: &str, kdir: &Path) -> Result<PathBuf> {
    module_with(project, steps, name, kdir, &[])
}

/// Does the same with more `words` for make.
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
    for folder in SOURCES {
        inputs = inputs.tree(&root.join(folder))?;
    }
    for word in words {
        inputs = inputs.text(word);
    }
    let module = project.module(name);
    let step = format!("building the module ({name})");
    steps.step(&step, &inputs, &[&module], |log| {
        let out = module.parent().context("the module has no folder")?;
        fs::create_dir_all(out)?;
        let mut make = Command::new("make");
        let own = make_words(&kdir.join(".config"))?;
        make.arg("-C").arg(kdir).arg(jobs()).args(words).args(&own);
        make.arg(format!("M={}", root.display()));
        make.arg(format!("MO={}", out.display()));
        log.run(make.arg("modules"))?;
        // Debug information doubles the time to load, and some tests load often.
        let mut crosses = own
            .iter()
            .filter_map(|word| word.strip_prefix("CROSS_COMPILE="));
        let prefix = crosses.next().unwrap_or_default();
        log.run(command(&format!("{prefix}strip --strip-debug")).args(modules_in(out)?))
    })?;
    Ok(module)
}

/// Returns `kernel` with a `lib/modules/VERSION` in which guests' modprobe also finds the modules
/// next to `module`: links to the kernel's own files and to that folder.
pub fn with_ours(
    project: &Project,
    steps: &Steps,
    label: &str,
    mut kernel: Kernel,
    module: &Path,
) -> Result<Kernel> {
    let (Some(theirs), Some(ours)) = (&kernel.modules, module.parent()) else {
        return Ok(kernel);
    };
    let version = theirs
        .file_name()
        .context("the modules' folder has no name")?;
    let base = project.build("modules/installed");
    let folder = base.join("lib/modules").join(version);
    let mut inputs = Inputs::new().text(&folder.to_string_lossy());
    // depmod would read thousands of modules. Ours depend on the kernel alone, so their names are
    // enough.
    for module in modules_in(ours)? {
        inputs = inputs.text(&module.to_string_lossy());
    }
    let list = folder.join("modules.dep.bin");
    let step = named("listing the modules", label);
    steps.step(&step, &inputs, &[&list], |log| {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for name in [
            "kernel",
            "modules.order",
            "modules.builtin",
            "modules.builtin.modinfo",
        ] {
            symlink(theirs.join(name), folder.join(name))?;
        }
        symlink(ours, folder.join("updates"))?;
        log.run(Command::new("depmod").arg("-b").arg(&base).arg(version))
    })?;
    kernel.modules = Some(folder);
    Ok(kernel)
}

/// Lists the modules in `folder`, sorted.
pub fn modules_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut modules = paths.collect::<Result<Vec<PathBuf>>>()?;
    modules.retain(|path| path.extension().is_some_and(|extension| extension == "ko"));
    modules.sort();
    Ok(modules)
}

/// Returns the command in a `.cmd` file that Kbuild saved beside an object, without what comes
/// after it (objtool).
pub fn saved_command(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| line.starts_with("savedcmd_"))?;
    let (_, command) = line.split_once(":=")?;
    Some(command.split(" ; ").next()?.trim())
}

/// Returns make's word for one job per processor.
pub fn jobs() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!("--jobs={processors}")
}
