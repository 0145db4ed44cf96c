// SPDX-License-Identifier: GPL-2.0

//! The orders for a guest's tests. The host passes them as JSON, and both derive the same list of
//! parts from them, so the host knows which parts a dead guest did not reach.

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

/// The folio policy of the device's region and of regions that choose none.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Single pages.
    Never = uapi::RMMAP_POLICY_NEVER as isize,
    /// Folios as the touches so far suggest, the default.
    Adaptive = uapi::RMMAP_POLICY_ADAPTIVE as isize,
    /// The largest folios that fit.
    Always = uapi::RMMAP_POLICY_ALWAYS as isize,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The parameters of the module for the device tests.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The hook that answers mmap(2).
    pub hook: Hook,
    /// The folio policy.
    pub policy: Policy,
}

impl Setting {
    /// Makes a setting of a hook and a policy.
    pub const fn new(hook: Hook, policy: Policy) -> Self {
        Self { hook, policy }
    }

    /// Returns the module parameters that select them.
    pub fn params(self) -> [String; 2] {
        let hook = self.hook as u32;
        [
            format!("prepare={hook}"),
            format!("policy={}", self.policy as u32),
        ]
    }

    /// Returns the setting as a part of a file name, `mmap-adaptive`.
    pub fn file_name(self) -> String {
        format!("{}-{}", self.hook, self.policy)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hook, self.policy)
    }
}

/// A part of a boot that is reported as a whole.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Loads and unloads modules without device tests; KUnit suites report.
    Modules,
    /// The module is loaded.
    Load,
    /// `rmmap selftest`.
    Selftest,
    /// `rmmap trace`.
    Trace,
    /// The counters of kernel and module are copied.
    Counters,
    /// The module is unloaded; counters and kernel log are checked.
    Check,
    /// The checks at the end of a boot: kmemleak, owners of pages, lockdep.
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
    /// What the part does.
    pub stage: Stage,
    /// The module's parameters, where they matter.
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

/// An event that a testing guest reports to the host: a line of JSON on standard output, which the
/// lab keeps in a file of the shared folder. That file survives the guest, and its last complete
/// line shows how far the guest got.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A part begins; the ids of the tests that it will report, as far as they are known.
    Begin(Part, Vec<String>),
    /// A test ended.
    Record(Record),
    /// The current part has reported all of its tests.
    End(Part),
    /// The guest has finished.
    Done,
}

/// The orders for one boot.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Plan {
    /// `stock` or `debug`: the name in the records.
    pub kernel: String,
    /// The module, built for this kernel.
    pub module: PathBuf,
    /// The project's other modules for this kernel, samples and KUnit suites of the library, which
    /// the guest only loads and unloads; empty in all boots of a kernel but one.
    pub others: Vec<PathBuf>,
    /// The program `rmmap`.
    pub rmmap: PathBuf,
    /// The settings under which to run `rmmap selftest`, in this order; empty to skip it.
    pub settings: Vec<Setting>,
    /// Names of the KUnit suites in the modules' source; empty to skip KUnit.
    pub kunit: Vec<String>,
    /// Tests to select, as `rmmap selftest -t` takes them; empty for all.
    pub patterns: Vec<String>,
    /// Load/map/unload cycles.
    pub cycles: u64,
    /// The factor by which the tests' time limits grow.
    pub time_scale: f64,
    /// Whether the kernel has kmemleak, page_owner and lockdep.
    pub debug_checks: bool,
    /// The code whose execution is counted, on the coverage kernel.
    pub counted: Option<Counted>,
}

impl Plan {
    /// Returns a plan without tests.
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

    /// Returns whether the plan includes a test outside `rmmap selftest`, which selects its own.
    pub fn picks(&self, name: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| name.contains(pattern))
    }

    /// Returns the modules to only load and unload, each with whether it has KUnit suites: the
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

    /// Returns the setting of the boot, if there is exactly one.
    pub fn only(&self) -> Option<Setting> {
        match self.settings.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Returns the name of the boot, `stock-mmap-adaptive`.
    pub fn name(&self) -> String {
        match self.only() {
            Some(only) => format!("{}-{}", self.kernel, only.file_name()),
            None => self.kernel.clone(),
        }
    }

    /// Returns the parts in the order in which they run.
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
