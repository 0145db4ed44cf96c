// SPDX-License-Identifier: GPL-2.0

//! The expected skips, by kernel: `expected-skips.toml`.

use crate::outcome::{Result, Stop};
use clap::ValueEnum;
use serde::Deserialize;
use std::sync::LazyLock;

/// A kernel of the lab.
#[derive(ValueEnum, Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// Debian's kernel.
    Stock,
    /// The debug kernel, with all checks.
    Debug,
    /// The kernel that counts executed code.
    Coverage,
    /// Debian's kernel with PREEMPT_RT, with `Stock`.
    #[value(skip)]
    Rt,
    /// Debian's kernel for cloud machines, with `Stock`.
    #[value(skip)]
    Cloud,
    /// Debian's kernel for arm64, with `Stock`.
    #[value(skip)]
    Arm64,
}

impl Kernel {
    /// Returns which flavour of the stock kernel has this version (`uname -r`), or `None` if it is
    /// not one of Debian's: `make test KERNEL=DIR`.
    fn flavour(release: &str) -> Option<Self> {
        let (_, debian) = release.split_once("+deb")?;
        Some(match debian.split_once('-') {
            Some((_, "rt-amd64")) => Self::Rt,
            Some((_, "cloud-amd64")) => Self::Cloud,
            Some((_, "arm64" | "arm64-16k")) => Self::Arm64,
            _ => Self::Stock,
        })
    }
}

/// One entry of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// The tests' names, without the kind of object.
    pub tests: Vec<String>,
    /// The kernels on which it is skipped.
    pub kernels: Vec<Kernel>,
    /// A part of the skip's reason.
    pub reason: String,
    /// Why the skip is accepted.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    skip: Vec<Skip>,
}

static SKIPS: LazyLock<Vec<Skip>> = LazyLock::new(|| {
    // The tests below read it, too, so a mistake does not reach a program.
    let file: File = toml::from_str(include_str!("../expected-skips.toml"))
        .unwrap_or_else(|e| panic!("expected-skips.toml: {e}"));
    file.skip
});

/// Returns the expected skips on a kernel.
pub fn expected_skips(kernel: Kernel) -> impl Iterator<Item = &'static Skip> {
    SKIPS
        .iter()
        .filter(move |skip| skip.kernels.contains(&kernel))
}

/// Turns the skip of a test into a failure, unless `expected-skips.toml` lists it for this kernel
/// and this reason.
///
/// With `stock` the flavour of the running kernel counts as well.
pub(crate) fn judge(kernel: Kernel, test: &str, result: Result) -> Result {
    let uname = rmmap_sys::rustix::system::uname();
    judge_on(kernel, &uname.release().to_string_lossy(), test, result)
}

fn judge_on(kernel: Kernel, release: &str, test: &str, result: Result) -> Result {
    let Err(Stop::Skip(why)) = &result else {
        return result;
    };
    let flavour = match kernel {
        Kernel::Stock => Kernel::flavour(release).unwrap_or(kernel),
        _ => kernel,
    };
    let is = |skip: &Skip| skip.tests.iter().any(|name| name == test) && why.contains(&skip.reason);
    let mut expected = expected_skips(kernel).chain(expected_skips(flavour));
    match expected.any(is) {
        true => result,
        false => Err(Stop::Fail(format!(
            "unexpected skip, not in expected-skips.toml for the {kernel:?} kernel: {why}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::all;

    #[test]
    fn expected_skips_are_of_tests_that_exist() {
        for skip in SKIPS.iter() {
            for test in &skip.tests {
                let exists = all().any(|case| case.name == test);
                assert!(exists, "there is no test {test}");
            }
            assert!(
                !skip.tests.is_empty()
                    && !skip.kernels.is_empty()
                    && !skip.reason.is_empty()
                    && !skip.why.is_empty()
            );
        }
    }

    #[test]
    fn an_unexpected_skip_is_a_failure() {
        let test = "create_without_memory";
        let skip = |why: &str| Err(Stop::skip(why));
        let told = "this kernel cannot make an allocation fail on demand (FAILSLAB): ENOENT";
        let judge = |kernel, test, result| judge_on(kernel, "7.3.4+deb13-amd64", test, result);
        assert_eq!(judge(Kernel::Stock, test, skip(told)), skip(told));
        // On another kernel, for another reason, of another test.
        for (kernel, test, why) in [
            (Kernel::Debug, test, told),
            (Kernel::Stock, test, "no time"),
            (Kernel::Stock, "mmap_allocates_nothing", told),
        ] {
            let result = judge(kernel, test, skip(why));
            assert!(matches!(result, Err(Stop::Fail(_))), "{result:?}");
        }
        assert_eq!(judge(Kernel::Stock, test, Ok(())), Ok(()));
        // Of another flavour.
        let test = "large_mapping_is_aligned";
        let why = "this kernel has no transparent huge pages";
        let on = |release| judge_on(Kernel::Stock, release, test, skip(why));
        assert_eq!(on("7.3.4+deb13-rt-amd64"), skip(why));
        for release in ["7.3.4+deb13-amd64", "7.3.4+deb13-cloud-amd64", "7.3.4"] {
            assert!(matches!(on(release), Err(Stop::Fail(_))), "{release}");
        }
        let debug = judge_on(Kernel::Debug, "7.3.4", test, skip(why));
        assert!(matches!(debug, Err(Stop::Fail(_))), "{debug:?}");
        let failed = Err(Stop::Fail("why".into()));
        assert_eq!(judge(Kernel::Debug, test, failed.clone()), failed);
    }
}
