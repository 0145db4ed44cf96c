// SPDX-License-Identifier: GPL-2.0

//! The command line of `rmmap-lab test`.

use std::fmt;

use clap::ValueEnum;

use super::plan::Hook;

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

    /// Run the tests whose name contains PATTERN; may be given more than once.
    #[arg(short = 't', long = "test", value_name = "PATTERN")]
    pub patterns: Vec<String>,

    /// Load, map and unload the module N times; a fiftieth of that on the debug kernel.
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
    /// The tutorial: build its code, and run its commands on the stock kernel.
    Tutorial,
}

/// A kernel to test on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KernelKind {
    /// Debian's own.
    Stock,
    /// The lab's, with all debugging checks enabled.
    Debug,
    /// The lab's, whose memory management counts what runs of it: `make coverage`, no test of its
    /// own.
    #[value(skip)]
    Coverage,
}

impl fmt::Display for KernelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stock => "stock",
            Self::Debug => "debug",
            Self::Coverage => "coverage",
        })
    }
}

impl Args {
    /// All device tests, or those that `patterns` pick, and no other group.
    pub fn device_tests(patterns: &[String], hook: Option<Hook>) -> Self {
        Self {
            only: vec![Group::Selftest],
            kernel: None,
            hook,
            patterns: patterns.to_vec(),
            cycles: 1,
        }
    }

    /// Whether a group runs at all.
    pub fn wants(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }

    /// Whether the host's tests run: not when the kernel or the hook was chosen.
    pub fn wants_host(&self) -> bool {
        self.wants(Group::Host) && self.kernel.is_none() && self.hook.is_none()
    }

    /// Whether misuses are compiled: as for the host's tests.
    pub fn wants_compile_fail(&self) -> bool {
        self.wants(Group::CompileFail) && self.kernel.is_none() && self.hook.is_none()
    }

    /// Whether the tutorial is followed: as for the host's tests.
    pub fn wants_tutorial(&self) -> bool {
        self.wants(Group::Tutorial) && self.kernel.is_none() && self.hook.is_none()
    }

    /// The kernels to boot.
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

    /// The hooks to run the device tests with.
    pub fn hooks(&self) -> Vec<Hook> {
        match self.hook {
            _ if !self.wants(Group::Selftest) => Vec::new(),
            Some(hook) => vec![hook],
            None => vec![Hook::Mmap, Hook::Prepare],
        }
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
        assert!(all.wants_host());
        assert_eq!(all.kernels(), [KernelKind::Stock, KernelKind::Debug]);
        assert_eq!(all.hooks(), [Hook::Mmap, Hook::Prepare]);
        assert_eq!(all.cycles, 1000);
    }

    #[test]
    fn kunit_needs_one_boot_of_one_kernel() {
        let kunit = args("test --only kunit");
        assert!(!kunit.wants_host());
        assert_eq!(kunit.kernels(), [KernelKind::Debug]);
        assert_eq!(kunit.hooks(), []);
    }

    #[test]
    fn a_chosen_kernel_or_hook_leaves_the_rest_out() {
        let one = args("test --kernel stock --hook prepare --only selftest -t fork -t mlock");
        assert_eq!(
            (one.kernels(), one.hooks()),
            (vec![KernelKind::Stock], vec![Hook::Prepare])
        );
        assert_eq!(one.patterns, ["fork", "mlock"]);
        assert!(!args("test --kernel stock").wants_host());
        assert!(args("test --only host").kernels().is_empty());
    }
}
