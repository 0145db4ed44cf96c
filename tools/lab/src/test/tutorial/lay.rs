// SPDX-License-Identifier: GPL-2.0

//! The tutorial's files, laid out and built as the page tells the reader to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use walkdir::WalkDir;

use super::explain;
use super::page::{Block, Folder, Kind, Page, Place};
use crate::build;
use crate::project::Project;
use crate::steps::{Inputs, Steps};

/// The module of the page.
pub const MODULE: &str = "rust_mm_tutorial";

/// What a reader's checkout needs to have: what `make shell` builds from.
const CHECKOUT: &[&str] = &[
    ".cargo",
    "Cargo.toml",
    "Cargo.lock",
    "Kbuild",
    "rust",
    "samples",
    "tools",
];

/// What the page calls the project's folder.
const PLACEHOLDER: &str = "/path/to/rmmap";

/// Why the page's files do not build; none when they do.
pub type Verdict = Option<String>;

/// Adds the page's files to a copy of this project, by step 1 of the page, and builds module and
/// program as `make shell` does. Returns the copy.
pub fn checkout(
    project: &Project,
    steps: &Steps,
    page: &Page,
    kdir: &Path,
) -> Result<(Project, Verdict)> {
    let copy = Project::at(&project.build("tutorial/checkout"));
    let mut inputs = inputs_of(page);
    for name in CHECKOUT {
        inputs = inputs.tree(&project.root().join(name))?;
    }
    let kbuild = copy.root().join("Kbuild");
    steps.step(
        "laying out the tutorial's checkout",
        &inputs,
        &[&kbuild],
        |_| lay_out_checkout(project, copy.root(), page),
    )?;
    // Locks, stamps and logs of its own: it is a checkout as any other.
    let own_steps = Steps::begin(&copy)?;
    if let Err(error) = build::module(&copy, &own_steps, "stock", kdir) {
        let log = copy.build("log/building-the-module-(stock).log");
        let log = fs::read_to_string(log).unwrap_or_default();
        return Ok((copy, Some(explain::failure(page, &error, &log))));
    }
    let mut log = String::new();
    let compiled = own_steps.always("compiling the tutorial's program", |steps_log| {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--release", "--package", "rmmap-sys"]);
        cargo.args(["--bins", "--target", "x86_64-unknown-linux-gnu"]);
        cargo.arg("--target-dir").arg(copy.build("cargo"));
        let result = steps_log.run(cargo.current_dir(copy.root()));
        log = steps_log.text();
        result
    });
    let verdict = compiled
        .err()
        .map(|error| explain::failure(page, &error, &log));
    Ok((copy, verdict))
}

fn lay_out_checkout(project: &Project, root: &Path, page: &Page) -> Result<()> {
    for name in CHECKOUT {
        copy(&project.root().join(name), &root.join(name))?;
    }
    for name in page.files() {
        if let Some(path) = in_checkout(name) {
            write(&root.join(path), &page.contents(name))?;
        }
    }
    let kbuild = root.join("Kbuild");
    let text = fs::read_to_string(&kbuild)?;
    Ok(fs::write(kbuild, with_sample(&text)?)?)
}

/// Where a file of the page lies in a checkout, if it does.
fn in_checkout(name: &str) -> Option<String> {
    match name.strip_prefix("src/") {
        Some(driver) => Some(format!("samples/rust/{driver}")),
        None => name.starts_with("tools/").then(|| name.to_owned()),
    }
}

/// `Kbuild` with the module's name added as step 1 of the page says.
fn with_sample(kbuild: &str) -> Result<String> {
    let line = kbuild.lines().find(|line| line.starts_with("samples :="));
    let line = line.context("Kbuild has no line that begins with `samples :=`, as step 1 says")?;
    Ok(kbuild.replacen(line, &format!("{line} {MODULE}"), 1))
}

/// Puts the page's files into a folder of their own and carries out the commands that build them
/// there. Returns the folder.
pub fn own_folder(
    project: &Project,
    steps: &Steps,
    page: &Page,
    kdir: &Path,
) -> Result<(PathBuf, Verdict)> {
    let folder = project.build("tutorial/own");
    let inputs = inputs_of(page)
        .text(&kdir.to_string_lossy())
        .file(&kdir.join("Module.symvers"))?
        .tree(&project.root().join("rust"))?;
    let module = folder.join(format!("build/{MODULE}.ko"));
    let mut verdict = None;
    let done = steps.step(
        "building the tutorial's module by its own commands",
        &inputs,
        &[&module],
        |log| {
            lay_out_own(&folder, page)?;
            for block in page.blocks() {
                if block.kind == Kind::Run(Place::Host, Folder::Own) {
                    let result = log.run(&mut bash(project, block, &folder, kdir));
                    if let Err(error) = &result {
                        let why = explain::failure(page, error, &log.text());
                        verdict = Some(format!("{block}: {why}"));
                    }
                    result?;
                }
            }
            Ok(())
        },
    );
    match (done, verdict) {
        (Err(_), Some(why)) => Ok((folder, Some(why))),
        (Err(error), None) => Err(error),
        (Ok(()), _) => Ok((folder, None)),
    }
}

fn lay_out_own(folder: &Path, page: &Page) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let names = page.files();
    for name in names.iter().filter(|name| !name.starts_with("tools/")) {
        write(&folder.join(name), &page.contents(name))?;
    }
    Ok(())
}

/// The commands of a block as the reader's shell would run them.
fn bash(project: &Project, block: &Block, folder: &Path, kdir: &Path) -> Command {
    let commands = block
        .text
        .replace(PLACEHOLDER, &project.root().to_string_lossy());
    let mut bash = Command::new("bash");
    bash.args(["-e", "-c", &commands]);
    bash.current_dir(folder).env("KDIR", kdir);
    bash
}

fn inputs_of(page: &Page) -> Inputs {
    let mut inputs = Inputs::new();
    for block in page.blocks() {
        inputs = inputs.text(&format!("{:?}", block.kind)).text(&block.text);
    }
    inputs
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Copies a file, or a folder with all that is in it, over what was there. Times of files stay:
/// make goes by them.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.is_dir() {
        fs::remove_dir_all(to)?;
    }
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let target = match entry.path().strip_prefix(from) {
            Ok(rest) if !rest.as_os_str().is_empty() => to.join(rest),
            _ => to.to_owned(),
        };
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
            let modified = entry.metadata()?.modified()?;
            fs::File::options()
                .append(true)
                .open(&target)?
                .set_modified(modified)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_becomes_a_sample() {
        let kbuild = "# samples\nsamples := a b\nobj-m += $(samples)\n";
        assert_eq!(
            with_sample(kbuild).unwrap(),
            "# samples\nsamples := a b rust_mm_tutorial\nobj-m += $(samples)\n"
        );
        assert!(with_sample("obj-m := a.o\n").is_err());
    }

    #[test]
    fn files_have_their_places() {
        assert_eq!(in_checkout("src/a.rs").unwrap(), "samples/rust/a.rs");
        assert_eq!(in_checkout("tools/a.rs").unwrap(), "tools/a.rs");
        assert_eq!(in_checkout("Kbuild"), None);
    }

    #[test]
    fn a_copy_has_the_times_of_the_original() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        write(&from.join("a/b"), "text").unwrap();
        write(&to.join("old"), "").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("a/b")).unwrap(), "text");
        assert!(!to.join("old").exists());
        let time = |path: PathBuf| fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(time(from.join("a/b")), time(to.join("a/b")));
    }
}
