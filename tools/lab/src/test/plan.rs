// SPDX-License-Identifier: GPL-2.0

//! What a guest is asked to test. The host hands it over as JSON, and both derive the same list of
//! parts from it: so the host knows what a guest that died did not come to.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::counters::Counted;
use super::insmod;

/// The hook of the module that answers mmap(2).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// `file_operations.mmap`, the default.
    Mmap,
    /// `file_operations.mmap_prepare`.
    Prepare,
}

impl Hook {
    /// The module parameter that selects it.
    pub fn param(self) -> &'static str {
        match self {
            Self::Mmap => "prepare=0",
            Self::Prepare => "prepare=1",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mmap => "mmap",
            Self::Prepare => "prepare",
        })
    }
}

/// A stretch of a boot that is reported as a whole.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Modules that no device test is about are loaded and unloaded; KUnit suites report.
    Modules,
    /// The module is loaded.
    Load,
    /// `rmmap selftest`.
    Selftest,
    /// `rmmap trace`.
    Trace,
    /// The counters of kernel and module are copied out.
    Counters,
    /// The module is unloaded; counters and kernel log are looked at.
    Check,
    /// What is looked at once, at the end of a boot: kmemleak, owners of pages, lockdep.
    Final,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Modules => "modules",
            Self::Load => "load",
            Self::Selftest => "selftest",
            Self::Trace => "trace",
            Self::Counters => "counters",
            Self::Check => "check",
            Self::Final => "final",
        })
    }
}

/// One stage with one hook.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What is done.
    pub stage: Stage,
    /// The hook that the module is loaded with, where it matters.
    pub hook: Option<Hook>,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hook {
            Some(hook) => write!(f, "{hook}/{}", self.stage),
            None => write!(f, "{}", self.stage),
        }
    }
}

/// The orders for one boot.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Plan {
    /// `stock` or `debug`: the name in the records.
    pub kernel: String,
    /// The module, built for this kernel.
    pub module: PathBuf,
    /// The project's other modules for this kernel: samples, KUnit suites of the library.
    pub others: Vec<PathBuf>,
    /// The program `rmmap`.
    pub rmmap: PathBuf,
    /// The hooks to run `rmmap selftest` with, in this order; empty when it is not to run.
    pub hooks: Vec<Hook>,
    /// Names of the KUnit suites in the modules' source; empty when KUnit is not to be tested.
    pub kunit: Vec<String>,
    /// Tests to pick, as `rmmap selftest -t` takes them; empty for all.
    pub patterns: Vec<String>,
    /// Load/map/unload cycles with the first hook; with others a tenth of them.
    pub cycles: u64,
    /// By how much the tests' time limits grow.
    pub time_scale: f64,
    /// Whether the kernel has kmemleak, page_owner and lockdep to ask.
    pub debug_checks: bool,
    /// What is counted of the code that runs, on the coverage kernel.
    pub counted: Option<Counted>,
}

impl Plan {
    /// Whether a test outside of `rmmap selftest`, which picks for itself, is wanted.
    pub fn picks(&self, name: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| name.contains(pattern))
    }

    /// The modules to load and unload for their own sake, each with whether it has KUnit suites: the
    /// driver has its own, those of the library are modules named `NAME_kunit`.
    pub fn modules(&self) -> Vec<(&Path, bool)> {
        let others = self.others.iter().map(PathBuf::as_path);
        let all = others.chain([self.module.as_path()]);
        let with_suites = all.map(|file| {
            let is_ours = file == self.module || insmod::name(file).ends_with("_kunit");
            (file, is_ours && !self.kunit.is_empty())
        });
        with_suites
            .filter(|(file, suites)| {
                *suites || (*file != self.module && self.picks(&insmod::name(file)))
            })
            .collect()
    }

    /// Load/map/unload cycles with `hook`.
    pub fn cycles_with(&self, hook: Hook) -> u64 {
        match self.hooks.first() == Some(&hook) {
            true => self.cycles,
            false => self.cycles.div_ceil(10),
        }
    }

    /// The parts in the order in which they run.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut push = |stage, hook| parts.push(Part { stage, hook });
        if !self.modules().is_empty() {
            push(Stage::Modules, None);
        }
        for &hook in &self.hooks {
            push(Stage::Load, Some(hook));
            push(Stage::Selftest, Some(hook));
            match self.counted {
                Some(_) => push(Stage::Counters, Some(hook)),
                None => push(Stage::Trace, Some(hook)),
            }
            push(Stage::Check, Some(hook));
        }
        if self.debug_checks {
            push(Stage::Final, None);
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            kernel: "debug".into(),
            module: "/m/rmmap.ko".into(),
            others: vec!["/m/kernel_mm_kunit.ko".into(), "/m/sample.ko".into()],
            rmmap: "r".into(),
            hooks: vec![Hook::Mmap, Hook::Prepare],
            kunit: vec!["region".into()],
            patterns: Vec::new(),
            cycles: 1000,
            time_scale: 1.0,
            debug_checks: true,
            counted: None,
        }
    }

    #[test]
    fn modules_with_suites_are_loaded_whatever_was_picked() {
        let mut plan = plan();
        let [kunit, sample, rmmap] =
            ["/m/kernel_mm_kunit.ko", "/m/sample.ko", "/m/rmmap.ko"].map(Path::new);
        assert_eq!(
            plan.modules(),
            [(kunit, true), (sample, false), (rmmap, true)]
        );
        plan.patterns.push("quota".into());
        assert_eq!(plan.modules(), [(kunit, true), (rmmap, true)]);
        plan.kunit.clear();
        assert!(plan.modules().is_empty());
        assert_eq!(plan.parts()[0].stage, Stage::Load);
    }

    #[test]
    fn the_first_hook_takes_most_cycles() {
        let plan = plan();
        assert_eq!(plan.cycles_with(Hook::Mmap), 1000);
        assert_eq!(plan.cycles_with(Hook::Prepare), 100);
    }
}
