// SPDX-License-Identifier: GPL-2.0

//! Builds the module with a mistake.

use crate::mutant::Mutant;
use anyhow::{ensure, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a command without its output. Returns what it wrote to its standard error if it failed.
fn run(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed:\n{text}");
    Ok(())
}

/// The lab's program `name`, which lies beside this one.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    Ok(own.with_file_name(name))
}

/// Returns the module as it is, which the lab makes where needed.
pub fn stock(root: &Path) -> Result<PathBuf> {
    run(Command::new(program("rmmap-lab")?).arg("lab"))?;
    Ok(root.join("build/modules/stock/rmmap.ko"))
}

/// A copy of the module's source, in which one file at a time has a mistake: make compiles only what
/// depends on it.
pub struct Builder {
    /// Whether to use modules that are there.
    again: bool,
    /// The kernel's build folder.
    kdir: String,
    /// The copy.
    source: PathBuf,
    /// What make makes of it.
    out: PathBuf,
}

impl Builder {
    /// Copies the source in the checkout `root`; keeps the modules that are there if `again` says so.
    pub fn new(root: &Path, again: bool) -> Result<Self> {
        let folder = root.join("build/mutants");
        if folder.exists() && !again {
            fs::remove_dir_all(&folder)?;
        }
        let builder = Self {
            again,
            kdir: kdir(&root.join("build/modules/stock/Makefile"))?,
            source: folder.join("source"),
            out: folder.join("out"),
        };
        fs::create_dir_all(&builder.source)?;
        fs::create_dir_all(&builder.out)?;
        let copy = [root.join("rust"), builder.source.clone()];
        run(Command::new("cp")
            .args(["--recursive", "--update"])
            .args(copy))?;
        // The module alone: not samples and tests.
        let kbuild = fs::read_to_string(root.join("Kbuild"))?;
        let is_other = |line: &&str| !line.starts_with("obj-");
        let mut lines: Vec<&str> = kbuild.lines().filter(is_other).collect();
        lines.push("obj-m := rmmap.o\n");
        fs::write(builder.source.join("Kbuild"), lines.join("\n"))?;
        Ok(builder)
    }

    fn make(&self) -> Result<()> {
        let mut make = Command::new("make");
        make.arg("-C").arg(&self.kdir).arg("--jobs=2");
        make.arg(format!("M={}", self.source.display()));
        make.arg(format!("MO={}", self.out.display()));
        run(make.arg("modules"))
    }

    /// Builds the module with a mistake. Returns its file.
    pub fn build(&self, root: &Path, mutant: &Mutant) -> Result<PathBuf> {
        let module = self.source.with_file_name(format!("{}.ko", mutant.name));
        if self.again && module.exists() {
            return Ok(module);
        }
        let file = self.source.join(&mutant.file);
        fs::write(&file, mutant.text(root)?)?;
        let made = self.make();
        fs::copy(root.join(&mutant.file), &file)?;
        made.with_context(|| format!("{} does not build", mutant.name))?;
        fs::copy(self.out.join("rmmap.ko"), &module)?;
        run(Command::new("strip").arg("--strip-debug").arg(&module))?;
        Ok(module)
    }
}

/// Returns the build folder that a module was built in, as Kbuild says in the folder of its results.
fn kdir(makefile: &Path) -> Result<String> {
    let text = fs::read_to_string(makefile)
        .with_context(|| format!("cannot read {}", makefile.display()))?;
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix("export KBUILD_OUTPUT = "));
    let value = values.next().context("Kbuild does not say where it ran")?;
    Ok(value.to_owned())
}
