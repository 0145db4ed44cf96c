// SPDX-License-Identifier: GPL-2.0

//! What a guest is asked to test. The host hands it over as JSON, and both derive the same list of
//! parts from it: so the host knows what a guest that died did not come to.

use std::fmt;
use std::path::{Path, PathBuf};

use rmmap_sys::uapi;
use serde::{Deserialize, Serialize};

use crate::counters::Counted;
use crate::insmod;
use crate::record::Record;

/// The hook of the module that answers mmap(2).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// `file_operations.mmap`, the default.
    Mmap = uapi::RMMAP_HOOK_MMAP as isize,
    /// `file_operations.mmap_prepare`.
    Prepare = uapi::RMMAP_HOOK_PREPARE as isize,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The folio policy, of the device's region and of those that do not ask for one.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Single pages.
    Never = uapi::RMMAP_POLICY_NEVER as isize,
    /// What the touches so far make likely, the default.
    Adaptive = uapi::RMMAP_POLICY_ADAPTIVE as isize,
    /// The largest folios that fit.
    Always = uapi::RMMAP_POLICY_ALWAYS as isize,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// How the module is loaded for the device tests.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The hook that answers mmap(2).
    pub hook: Hook,
    /// The folio policy.
    pub policy: Policy,
}

impl Setting {
    /// A hook and a policy.
    pub const fn new(hook: Hook, policy: Policy) -> Self {
        Self { hook, policy }
    }

    /// The module parameters that select them.
    pub fn params(self) -> [String; 2] {
        let hook = self.hook as u32;
        [
            format!("prepare={hook}"),
            format!("policy={}", self.policy as u32),
        ]
    }

    /// The name in a file's name, `mmap-adaptive`.
    pub fn file_name(self) -> String {
        format!("{}-{}", self.hook, self.policy)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hook, self.policy)
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
        self.serialize(f)
    }
}

/// One stage with one setting.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What is done.
    pub stage: Stage,
    /// How the module is loaded, where it matters.
    pub setting: Option<Setting>,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.setting {
            Some(setting) => write!(f, "{setting}/{}", self.stage),
            None => write!(f, "{}", self.stage),
        }
    }
}

/// What the guest tells the host while it tests: a line of JSON each on the standard output, which the
/// lab carries in a file on the shared folder. That file survives the guest, and its last complete line
/// says how far the guest came.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A part begins; the ids of the tests that it will report, as far as they are known.
    Begin(Part, Vec<String>),
    /// A test ended.
    Record(Record),
    /// The part that had begun has reported all of its tests.
    End(Part),
    /// The guest has nothing more to say.
    Done,
}

/// The orders for one boot.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Plan {
    /// `stock` or `debug`: the name in the records.
    pub kernel: String,
    /// The module, built for this kernel.
    pub module: PathBuf,
    /// The project's other modules for this kernel, samples and KUnit suites of the library, to be
    /// loaded for their own sake; empty in all boots of a kernel but one.
    pub others: Vec<PathBuf>,
    /// The program `rmmap`.
    pub rmmap: PathBuf,
    /// With what to run `rmmap selftest`, in this order; empty when it is not to run.
    pub settings: Vec<Setting>,
    /// Names of the KUnit suites in the modules' source; empty when KUnit is not to be tested.
    pub kunit: Vec<String>,
    /// Tests to pick, as `rmmap selftest -t` takes them; empty for all.
    pub patterns: Vec<String>,
    /// Load/map/unload cycles.
    pub cycles: u64,
    /// By how much the tests' time limits grow.
    pub time_scale: f64,
    /// Whether the kernel has kmemleak, page_owner and lockdep to ask.
    pub debug_checks: bool,
    /// What is counted of the code that runs, on the coverage kernel.
    pub counted: Option<Counted>,
}

impl Plan {
    /// One without tests.
    pub fn new(kernel: &str, module: &Path, rmmap: &Path) -> Self {
        Self {
            kernel: kernel.to_owned(),
            module: module.to_owned(),
            others: Vec::new(),
            rmmap: rmmap.to_owned(),
            settings: Vec::new(),
            kunit: Vec::new(),
            patterns: Vec::new(),
            cycles: 1,
            time_scale: 1.0,
            debug_checks: false,
            counted: None,
        }
    }

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

    /// The only setting of the boot, if it is one.
    pub fn only(&self) -> Option<Setting> {
        match self.settings.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// The name of the boot, `stock-mmap-adaptive`.
    pub fn name(&self) -> String {
        match self.only() {
            Some(only) => format!("{}-{}", self.kernel, only.file_name()),
            None => self.kernel.clone(),
        }
    }

    /// The parts in the order in which they run.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut push = |stage, setting| parts.push(Part { stage, setting });
        if !self.modules().is_empty() {
            push(Stage::Modules, None);
        }
        for &setting in &self.settings {
            push(Stage::Load, Some(setting));
            push(Stage::Selftest, Some(setting));
            match self.counted {
                Some(_) => push(Stage::Counters, Some(setting)),
                None => push(Stage::Trace, Some(setting)),
            }
            push(Stage::Check, Some(setting));
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
            others: vec!["/m/kernel_mm_kunit.ko".into(), "/m/sample.ko".into()],
            settings: vec![Setting::new(Hook::Prepare, Policy::Never)],
            kunit: vec!["region".into()],
            debug_checks: true,
            ..Plan::new("debug", Path::new("/m/rmmap.ko"), Path::new("r"))
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
    fn a_part_names_hook_and_policy() {
        let plan = plan();
        assert_eq!(plan.name(), "debug-prepare-never");
        let parts: Vec<String> = plan.parts().iter().map(Part::to_string).collect();
        assert_eq!(parts[..2], ["modules", "prepare/never/load"]);
        assert_eq!(parts.last().unwrap(), "final");
        assert_eq!(plan.settings[0].params(), ["prepare=1", "policy=0"]);
    }
}
