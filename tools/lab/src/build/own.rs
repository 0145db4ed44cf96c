// SPDX-License-Identifier: GPL-2.0
//! The lab's own kernels: the stock kernel's source, with a configuration on top of allnoconfig.

use super::Stock;
use crate::project::Project;
use crate::steps::{command, Log, Steps};
use crate::vm::Kernel;
use anyhow::{bail, Context, Result};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The recipe of one such kernel.
pub struct Recipe {
    /// The folder below `build/` that contains a folder for each version.
    pub folder: &'static str,
    /// The name of the step that compiles it, for people.
    pub step: &'static str,
    /// Files with options, relative to the checkout; a line replaces an earlier file's for the same
    /// option.
    pub fragments: &'static [&'static str],
    /// Words for make: compilers, and files that are compiled in a special way.
    pub words: Vec<String>,
    /// `GNUmakefile`, which make reads before `Makefile`. It is written last.
    pub gnumakefile: String,
}

/// A kernel of the lab's own, ready to boot.
#[derive(Debug, Clone)]
pub struct Own {
    /// The folder in which it was built; modules for it are also built there.
    pub kdir: PathBuf,
}

impl Own {
    /// Returns the kernel to boot: all that a guest needs is built in.
    pub fn kernel(&self) -> Kernel {
        Kernel::built_in(&self.kdir)
    }
}

impl Recipe {
    /// Returns the kernel as it was last built from the source of `stock`, if it was.
    pub fn built(&self, project: &Project, stock: &Stock) -> Option<Own> {
        let kdir = self.kdir(project, stock);
        kdir.join("GNUmakefile").exists().then_some(Own { kdir })
    }

    /// Builds it from the source of `stock`. An interrupted build continues.
    pub fn build(&self, project: &Project, steps: &Steps, stock: &Stock) -> Result<Own> {
        let options = self.options(project)?;
        let own = Own {
            kdir: self.kdir(project, stock),
        };
        let inputs = super::compiler_inputs()?
            .text(&stock.version)
            .text(&self.gnumakefile)
            .text(&options);
        let image = own.kernel().image;
        let outputs = [
            &image,
            &own.kdir.join("Module.symvers"),
            &own.kdir.join("rust/libkernel.rmeta"),
        ];
        let outputs = outputs.map(PathBuf::as_path);
        steps.step(self.step, &inputs, &outputs, |log| {
            self.compile(&stock.source, &own.kdir, &options, log)
        })?;
        Ok(own)
    }

    /// Returns a separate folder for each version: make compares times, and a newer source may have
    /// older ones.
    fn kdir(&self, project: &Project, stock: &Stock) -> PathBuf {
        project.build(self.folder).join(&stock.version)
    }

    /// Returns the options of all fragments.
    fn options(&self, project: &Project) -> Result<String> {
        let mut all = String::new();
        for name in self.fragments {
            let path = project.root().join(name);
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            all = replaced(&all, &text) + &text;
        }
        Ok(all)
    }

    fn compile(&self, source: &Path, kdir: &Path, options: &str, log: &mut Log) -> Result<()> {
        fs::create_dir_all(kdir)?;
        let wanted = kdir.join("rmmap.config");
        fs::write(&wanted, options)?;
        let make = || make(source, kdir, &self.words);
        configure(make(), kdir, &wanted, &self.fragments.join(" and "), log)?;
        // Tests may run at the same time: they have priority.
        let mut nice = command("nice -n19");
        let make = make();
        nice.arg(make.get_program()).args(make.get_args());
        log.run(nice.args(["bzImage", "modules"]))?;
        Ok(fs::write(kdir.join("GNUmakefile"), &self.gnumakefile)?)
    }
}

/// Configures the kernel that `make` is for, in `objects`, with the options in the file `fragment`,
/// all of which must survive; `origin` names their source.
pub fn configure(
    mut make: Command,
    objects: &Path,
    fragment: &Path,
    origin: &str,
    log: &mut Log,
) -> Result<()> {
    log.run(make.env("KCONFIG_ALLCONFIG", fragment).arg("allnoconfig"))?;
    let config = fs::read_to_string(objects.join(".config")).context("make wrote no .config")?;
    let lost = lost(&fs::read_to_string(fragment)?, &config);
    if !lost.is_empty() {
        bail!(
            "the kernel's configuration has no place for these lines of {origin}: {}; name what \
             they depend on there, or remove them",
            lost.join(", ")
        );
    }
    Ok(())
}

/// Returns the command make for the kernel of `source` in `objects`, with more words.
pub fn make<S: AsRef<OsStr>>(source: &Path, objects: &Path, words: &[S]) -> Command {
    let mut make = Command::new("make");
    make.arg("-C")
        .arg(source)
        .arg(format!("O={}", objects.display()));
    make.args(words).arg(super::module::jobs());
    make
}

/// Returns the lines of `base` without those whose option `over` also names.
fn replaced(base: &str, over: &str) -> String {
    let named: Vec<&str> = over.lines().filter_map(option).collect();
    base.split_inclusive('\n')
        .filter(|line| option(line.trim_end()).is_none_or(|option| !named.contains(&option)))
        .collect()
}

/// Returns the lines of the options that differ in the finished configuration.
fn lost(options: &str, config: &str) -> Vec<String> {
    let lines: Vec<&str> = config.lines().collect();
    let survived = |line: &str| match option_switched_off(line) {
        // An option whose menu is off is not mentioned at all, which means the same.
        Some(option) => !lines
            .iter()
            .any(|line| line.starts_with(&format!("{option}="))),
        None => lines.contains(&line),
    };
    options
        .lines()
        .map(str::trim)
        .filter(|line| option(line).is_some() && !survived(line))
        .map(str::to_owned)
        .collect()
}

/// Returns the option that a line sets or disables.
fn option(line: &str) -> Option<&str> {
    let set = || line.split_once('=').map(|(option, _)| option);
    option_switched_off(line).or_else(|| set().filter(|option| option.starts_with("CONFIG_")))
}

/// Returns the option in `# CONFIG_X is not set`.
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

    #[test]
    fn a_later_fragment_replaces_what_it_names() {
        let base = "# Comment.\nCONFIG_A=y\nCONFIG_AB=y\n# CONFIG_C is not set\n";
        let over = "# CONFIG_A is not set\nCONFIG_C=m\n";
        assert_eq!(replaced(base, over), "# Comment.\nCONFIG_AB=y\n");
        assert_eq!(replaced(base, ""), base);
    }
}
