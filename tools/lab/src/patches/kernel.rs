// SPDX-License-Identifier: GPL-2.0

//! The kernel with the series: small, with everything enabled that the series adds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::build::own;
use crate::project::Project;
use crate::steps::Steps;
use crate::vm::Kernel;

/// Its options.
const FRAGMENT: &str = "tools/lab/patches.config";

/// Files with the options that the series adds, whose names contain `RUST_MM_`.
const KCONFIGS: [&str; 2] = ["mm/Kconfig", "samples/rust/Kconfig"];

/// The number of lines of a log that show why a build failed.
const END: usize = 60;

/// A build of the kernel.
pub struct Target<'a> {
    /// The tree with the series, or a part of it.
    tree: &'a Path,
    /// The folder for objects.
    objects: PathBuf,
    /// The tree's options.
    options: String,
    /// The tree's samples.
    samples: Vec<String>,
}

impl<'a> Target<'a> {
    /// Returns the kernel of `tree`, with all options enabled that the patches so far add.
    pub fn new(project: &Project, tree: &'a Path) -> Result<Self> {
        let mut known = String::new();
        for file in KCONFIGS {
            known += &fs::read_to_string(tree.join(file)).context(file)?;
        }
        let is_known = |line: &&str| match line.split_once('=') {
            Some((option, _)) if option.contains("RUST_MM_") => {
                let option = option.trim_start_matches("CONFIG_");
                known.contains(&format!("config {option}\n"))
            }
            _ => true,
        };
        let fragment = fs::read_to_string(project.root().join(FRAGMENT))?;
        let lines: Vec<&str> = fragment.lines().filter(is_known).collect();
        let samples = lines.iter().filter_map(|line| {
            let (name, _) = line.strip_prefix("CONFIG_SAMPLE_")?.split_once("=m")?;
            Some(name.to_lowercase())
        });
        Ok(Self {
            tree,
            objects: project.build("patches/kernel"),
            samples: samples.collect(),
            options: lines.join("\n") + "\n",
        })
    }

    /// Returns the kernel to boot: all that a guest needs is built in.
    pub fn kernel(&self) -> Kernel {
        Kernel::built_in(&self.objects)
    }

    /// Returns the modules of the samples.
    pub fn modules(&self) -> Vec<PathBuf> {
        let names = self.samples.iter();
        names
            .map(|name| self.objects.join(format!("samples/rust/{name}.ko")))
            .collect()
    }

    /// Builds it, reusing unchanged results. Returns why it does not build; an error that is not
    /// the compiler's is the lab's.
    pub fn build(&self, steps: &Steps) -> Result<Option<String>> {
        let mut why = None;
        let name = "building the kernel with the patches (some minutes the first time)";
        let done = steps.always(name, |log| {
            let fragment = self.objects.with_extension("config");
            fs::write(&fragment, &self.options)?;
            fs::create_dir_all(&self.objects)?;
            let origin = fragment.display().to_string();
            own::configure(self.make(), &self.objects, &fragment, &origin, log)?;
            let made = log.run(self.make().args(["bzImage", "modules"]));
            why = made.as_ref().err().map(|_| end(&log.text()));
            made
        });
        match why {
            Some(why) => Ok(Some(why)),
            None => done.map(|()| None),
        }
    }

    fn make(&self) -> Command {
        own::make(self.tree, &self.objects, &["LLVM=1"])
    }
}

/// Returns the end of a log, with the compilers' complaints.
fn end(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(END)..].join("\n")
}
