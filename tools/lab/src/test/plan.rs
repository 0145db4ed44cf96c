// SPDX-License-Identifier: GPL-2.0

//! What a guest is asked to test. The host hands it over as JSON, and both derive the same list of
//! parts from it: so the host knows what a guest that died did not come to.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
    /// The module is loaded and its KUnit suites, where the kernel has KUnit, report.
    Load,
    /// `rmmap selftest`.
    Selftest,
    /// The module is unloaded; counters and kernel log are looked at.
    Check,
    /// What is looked at once, at the end of a boot: kmemleak, owners of pages, lockdep.
    Final,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::Selftest => "selftest",
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
    /// The hook that the module is loaded with; none in [`Stage::Final`].
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
    /// The program `rmmap`.
    pub rmmap: PathBuf,
    /// The hooks to test with, in this order.
    pub hooks: Vec<Hook>,
    /// Names of the KUnit suites in the module's source; empty when KUnit is not to be tested.
    pub kunit: Vec<String>,
    /// Whether `rmmap selftest` runs.
    pub selftest: bool,
    /// Tests to pick, as `rmmap selftest -t` takes them; empty for all.
    pub patterns: Vec<String>,
    /// Load/map/unload cycles.
    pub cycles: u64,
    /// By how much the tests' time limits grow.
    pub time_scale: f64,
    /// Whether the kernel has kmemleak, page_owner and lockdep to ask.
    pub debug_checks: bool,
}

impl Plan {
    /// Whether a test outside of `rmmap selftest`, which picks for itself, is wanted.
    pub fn picks(&self, name: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| name.contains(pattern))
    }

    /// The parts in the order in which they run.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for &hook in &self.hooks {
            let hook = Some(hook);
            parts.push(Part {
                stage: Stage::Load,
                hook,
            });
            if self.selftest {
                parts.push(Part {
                    stage: Stage::Selftest,
                    hook,
                });
            }
            parts.push(Part {
                stage: Stage::Check,
                hook,
            });
        }
        if self.debug_checks {
            parts.push(Part {
                stage: Stage::Final,
                hook: None,
            });
        }
        parts
    }
}
