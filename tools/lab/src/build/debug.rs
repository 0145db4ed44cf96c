// SPDX-License-Identifier: GPL-2.0
//! The debug kernel: the stock kernel's source with `tools/lab/debug.config` on top of nothing, by clang.

use crate::project::Project;
use crate::steps::{Log, Steps};
use crate::vm::Kernel;
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Stock;

/// The options, relative to the checkout.
const FRAGMENT: &str = "tools/lab/debug.config";

/// Read by make before `Makefile`. The kernel's build does not remember how it was called, and
/// whoever builds a module in this folder needs the same compiler.
const GNUMAKEFILE: &str = "# Made by rmmap-lab.\nexport LLVM := 1\ninclude Makefile\n";

/// The debug kernel, ready to boot.
#[derive(Debug, Clone)]
pub struct Debug {
    /// The folder it was built in; modules for it are built there, too.
    pub kdir: PathBuf,
}

impl Debug {
    /// What to boot: all that a guest needs is built in.
    pub fn kernel(&self) -> Kernel {
        Kernel {
            image: self.kdir.join("arch/x86/boot/bzImage"),
            modules: None,
        }
    }
}

/// The debug kernel for `stock`, as it was built last, if it was.
pub fn built_debug(project: &Project, stock: &Stock) -> Option<Debug> {
    let kdir = kdir(project, stock);
    // What is written when all else is there.
    kdir.join("GNUmakefile").exists().then_some(Debug { kdir })
}

/// A folder of its own for each version: make goes by times, and a newer source has older ones.
fn kdir(project: &Project, stock: &Stock) -> PathBuf {
    project.build("debug-kernel").join(&stock.version)
}

/// Builds the debug kernel from the source of `stock`. An interrupted build goes on where it was.
pub fn debug(project: &Project, steps: &Steps, stock: &Stock) -> Result<Debug> {
    let fragment = project.root().join(FRAGMENT);
    let debug = Debug {
        kdir: kdir(project, stock),
    };
    let inputs = super::compiler_inputs()?
        .text(&stock.version)
        .text(GNUMAKEFILE)
        .file(&fragment)?;
    let image = debug.kernel().image;
    let outputs = [
        &image,
        &debug.kdir.join("Module.symvers"),
        &debug.kdir.join("rust/libkernel.rmeta"),
    ];
    let outputs = outputs.map(PathBuf::as_path);
    let name = "compiling the debug kernel (8 minutes on two processors)";
    steps.step(name, &inputs, &outputs, |log| {
        build(&stock.source, &debug.kdir, &fragment, log)
    })?;
    Ok(debug)
}

fn build(source: &Path, kdir: &Path, fragment: &Path, log: &mut Log) -> Result<()> {
    fs::create_dir_all(kdir)?;
    let mut configure = make(source, kdir);
    log.run(
        configure
            .env("KCONFIG_ALLCONFIG", fragment)
            .arg("allnoconfig"),
    )?;
    let config = fs::read_to_string(kdir.join(".config")).context("make wrote no .config")?;
    let lost = lost(&fs::read_to_string(fragment)?, &config);
    if !lost.is_empty() {
        bail!(
            "the kernel's configuration has no place for these lines of {FRAGMENT}: {}; name what \
             they depend on there, or take them out",
            lost.join(", ")
        );
    }
    log.run(make(source, kdir).args(["bzImage", "modules"]))?;
    Ok(fs::write(kdir.join("GNUmakefile"), GNUMAKEFILE)?)
}

fn make(source: &Path, kdir: &Path) -> Command {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut make = Command::new("make");
    make.arg("-C")
        .arg(source)
        .arg(format!("O={}", kdir.display()));
    make.arg("LLVM=1").arg(format!("--jobs={jobs}"));
    make
}

/// The lines of the fragment that are not so in the finished configuration.
fn lost(fragment: &str, config: &str) -> Vec<String> {
    let lines: Vec<&str> = config.lines().collect();
    let survived = |line: &str| match option_switched_off(line) {
        // An option whose menu is off is not mentioned at all, which is as good.
        Some(option) => !lines
            .iter()
            .any(|line| line.starts_with(&format!("{option}="))),
        None => lines.contains(&line),
    };
    fragment
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("CONFIG_") || option_switched_off(line).is_some())
        .filter(|line| !survived(line))
        .map(str::to_owned)
        .collect()
}

/// The option in `# CONFIG_X is not set`.
fn option_switched_off(line: &str) -> Option<&str> {
    let option = line.strip_prefix("# ")?.strip_suffix(" is not set")?;
    option.starts_with("CONFIG_").then_some(option)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_kconfig_dropped_are_named() {
        let fragment = "# Comment.\nCONFIG_A=y\nCONFIG_B=y\nCONFIG_N=8\n# CONFIG_C is not set\n\
                        # CONFIG_D is not set\n# CONFIG_E is not set\n";
        let config =
            "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_N=16\n# CONFIG_C is not set\nCONFIG_D=y\n";
        let expected = ["CONFIG_B=y", "CONFIG_N=8", "# CONFIG_D is not set"];
        assert_eq!(lost(fragment, config), expected);
        assert!(lost("CONFIG_A=y\n", config).is_empty());
    }
}
