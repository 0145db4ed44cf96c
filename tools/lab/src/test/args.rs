// SPDX-License-Identifier: GPL-2.0

//! The command line of `rmmap-lab test`.

use std::collections::BTreeSet;
use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use super::plan::{Hook, Policy, Setting};

/// Run all tests; ends with `N passed, N failed, N skipped`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Run this group of tests only; may be given more than once.
    #[arg(long, value_enum, value_name = "GROUP")]
    only: Vec<Group>,

    /// Test on this kernel only.
    #[arg(long, value_enum)]
    kernel: Option<KernelKind>,

    /// Run the device tests with this hook only.
    #[arg(long, value_enum)]
    hook: Option<Hook>,

    /// Run the device tests with this folio policy only.
    #[arg(long, value_enum)]
    policy: Option<Policy>,

    /// Run the tests whose name contains PATTERN; may be given more than once.
    #[arg(short = 't', long = "test", value_name = "PATTERN")]
    pub patterns: Vec<String>,

    /// Run the tests of the mmap path's rows on the stock kernel, in every setting: enough to record
    /// their outcomes.
    #[arg(long, conflicts_with_all = ["only", "kernel", "hook", "policy", "patterns"])]
    rows: bool,

    /// Load, map and unload the module N times; a tenth of that in all boots of the stock kernel but
    /// the first, a fiftieth on the debug kernel.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub cycles: u64,
}

/// A group of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Unit tests of the workspace, on this machine.
    Host,
    /// The device tests, `rmmap selftest`.
    Selftest,
    /// KUnit suites in the module, on the debug kernel.
    Kunit,
    /// Misuses of the library, which must not compile for the stock kernel.
    CompileFail,
    /// The environment of commands in a guest of `make vm`.
    Vm,
    /// The tutorial: build its code, and run its commands on the stock kernel.
    Tutorial,
    /// The package that `rmmap-kdir deb` makes: build modules with it by DKMS, and load them.
    Package,
}

/// A kernel to test on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum KernelKind {
    /// Debian's own kernel.
    Stock,
    /// The lab's kernel with all debugging checks enabled.
    Debug,
    /// The lab's kernel whose memory management counts its executions, for `make coverage`; it has
    /// no test of its own.
    #[value(skip)]
    Coverage,
}

impl fmt::Display for KernelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Every policy and every hook.
pub const STOCK_SETTINGS: &[Setting] = &[
    Setting::new(Hook::Mmap, Policy::Adaptive),
    Setting::new(Hook::Prepare, Policy::Never),
    Setting::new(Hook::Mmap, Policy::Always),
];

/// The default policy, with every hook.
pub const DEBUG_SETTINGS: &[Setting] = &[
    Setting::new(Hook::Mmap, Policy::Adaptive),
    Setting::new(Hook::Prepare, Policy::Adaptive),
];

impl Args {
    /// Returns the arguments with `--rows` expanded to the groups of rows, such as `SC-` of
    /// `SC-01`. With another stock kernel than usual (`is_default`) only its device tests run,
    /// unless a group is chosen.
    pub fn resolved(&self, is_default: bool) -> Self {
        if !self.rows {
            let other = (!is_default && self.only.is_empty()).then_some(KernelKind::Stock);
            return Self {
                kernel: self.kernel.or(other),
                ..self.clone()
            };
        }
        let groups: BTreeSet<&str> = rmmap_rows::all()
            .filter_map(|row| row.id.split_inclusive('-').next())
            .collect();
        let patterns = groups.into_iter().map(str::to_owned).collect();
        Self {
            only: vec![Group::Selftest],
            kernel: Some(KernelKind::Stock),
            patterns,
            cycles: 1,
            ..self.clone()
        }
    }

    /// Returns the arguments for all device tests, or those that `patterns` select, and no other
    /// group.
    pub fn device_tests(patterns: &[String], hook: Option<Hook>) -> Self {
        Self {
            only: vec![Group::Selftest],
            kernel: None,
            hook,
            policy: None,
            patterns: patterns.to_vec(),
            rows: false,
            cycles: 1,
        }
    }

    /// Returns whether a group runs at all.
    pub fn wants(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }

    /// Returns whether a group runs that has no kernel to choose, or no hook, or no policy.
    pub fn wants_alone(&self, group: Group) -> bool {
        self.wants(group) && self.kernel.is_none() && self.hook.is_none() && self.policy.is_none()
    }

    /// Returns whether the run has all tests whose outcomes are recorded, in every setting of the
    /// stock kernel: with `--rows`, and without any choice.
    pub fn has_all_rows(&self) -> bool {
        let is_every_group = self.only.is_empty() && self.wants_alone(Group::Host);
        self.rows || (is_every_group && self.patterns.is_empty())
    }

    /// Returns the kernels to boot.
    pub fn kernels(&self) -> Vec<KernelKind> {
        let has_work = |kernel: &KernelKind| {
            self.wants(Group::Selftest)
                || (self.wants(Group::Kunit) && *kernel == KernelKind::Debug)
        };
        let all = [KernelKind::Stock, KernelKind::Debug].into_iter();
        all.filter(|kernel| self.kernel.is_none_or(|only| only == *kernel))
            .filter(has_work)
            .collect()
    }

    /// Returns the settings for the device tests on `kernel`: the chosen ones among the usual ones,
    /// or else exactly the chosen ones.
    pub fn settings(&self, kernel: KernelKind) -> Vec<Setting> {
        if !self.wants(Group::Selftest) {
            return Vec::new();
        }
        let usual = match kernel {
            KernelKind::Stock | KernelKind::Coverage => STOCK_SETTINGS,
            KernelKind::Debug => DEBUG_SETTINGS,
        };
        let is_chosen = |setting: &&Setting| {
            self.hook.is_none_or(|hook| hook == setting.hook)
                && self.policy.is_none_or(|policy| policy == setting.policy)
        };
        let chosen: Vec<_> = usual.iter().filter(is_chosen).copied().collect();
        if !chosen.is_empty() {
            return chosen;
        }
        let hook = self.hook.unwrap_or(Hook::Mmap);
        vec![Setting::new(hook, self.policy.unwrap_or(Policy::Adaptive))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &str) -> Args {
        Cli::parse_from(line.split_whitespace()).args
    }

    #[test]
    fn without_options_everything_runs() {
        let all = args("test");
        assert!(all.wants_alone(Group::Host) && all.has_all_rows());
        assert_eq!(all.kernels(), [KernelKind::Stock, KernelKind::Debug]);
        assert_eq!(all.settings(KernelKind::Stock), STOCK_SETTINGS);
        assert_eq!(all.settings(KernelKind::Debug), DEBUG_SETTINGS);
        assert_eq!(all.cycles, 1000);
    }

    #[test]
    fn rows_are_picked_by_their_groups() {
        let rows = args("test --rows").resolved(true);
        let known = ["DM-", "KS-", "MK-", "MR-", "PO-", "SC-", "VM-"];
        assert_eq!(rows.patterns, known);
        assert_eq!(rows.settings(KernelKind::Stock), STOCK_SETTINGS);
    }

    #[test]
    fn another_stock_kernel_gets_the_device_tests_alone() {
        let other = args("test -t fork").resolved(false);
        assert_eq!(other.kernels(), [KernelKind::Stock]);
        assert!(!other.wants_alone(Group::Host) && !other.has_all_rows());
        assert!(args("test --only host")
            .resolved(false)
            .wants_alone(Group::Host));
        assert!(args("test").resolved(true).wants_alone(Group::Host));
    }

    #[test]
    fn kunit_needs_one_boot_of_one_kernel() {
        let kunit = args("test --only kunit");
        assert!(!kunit.wants_alone(Group::Host) && !kunit.has_all_rows());
        assert_eq!(kunit.kernels(), [KernelKind::Debug]);
        assert_eq!(kunit.settings(KernelKind::Debug), []);
    }

    #[test]
    fn a_chosen_kernel_or_hook_leaves_the_rest_out() {
        let one = args("test --kernel stock --hook prepare --only selftest -t fork -t mlock");
        assert_eq!(one.kernels(), [KernelKind::Stock]);
        assert_eq!(one.settings(KernelKind::Stock), STOCK_SETTINGS[1..2]);
        assert_eq!(one.patterns, ["fork", "mlock"]);
        assert!(!args("test --kernel stock").wants_alone(Group::Host));
        assert!(args("test --only host").kernels().is_empty());
        assert!(!args("test -t fork").has_all_rows());
    }

    #[test]
    fn an_unusual_setting_can_be_asked_for() {
        let names = |line: &str, kernel| -> Vec<String> {
            let settings = args(line).settings(kernel).into_iter();
            settings.map(|setting| setting.to_string()).collect()
        };
        let mmap = names("test --hook mmap", KernelKind::Stock);
        assert_eq!(mmap, ["mmap/adaptive", "mmap/always"]);
        let one = names("test --hook prepare --policy always", KernelKind::Stock);
        assert_eq!(one, ["prepare/always"]);
        assert_eq!(
            names("test --policy never", KernelKind::Debug),
            ["mmap/never"]
        );
    }
}
