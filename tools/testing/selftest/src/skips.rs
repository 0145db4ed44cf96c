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
}

/// One entry of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// The test's name, without the kind of object.
    pub test: String,
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

/// Turns the skip of a test into a failure, unless this kernel expects it for this reason.
pub(crate) fn judge(kernel: Kernel, test: &str, result: Result) -> Result {
    let Err(Stop::Skip(why)) = &result else {
        return result;
    };
    let is = |skip: &Skip| skip.test == test && why.contains(&skip.reason);
    match expected_skips(kernel).any(is) {
        true => result,
        false => Err(Stop::Fail(format!(
            "skipped, which expected-skips.toml does not say of the {kernel:?} kernel: {why}"
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
            let exists = all().any(|case| case.name == skip.test);
            assert!(exists, "there is no test {}", skip.test);
            assert!(!skip.kernels.is_empty() && !skip.reason.is_empty() && !skip.why.is_empty());
        }
    }

    #[test]
    fn an_unexpected_skip_is_a_failure() {
        let test = "create_without_memory";
        let skip = |why: &str| Err(Stop::skip(why));
        let told = "this kernel cannot make an allocation fail on demand (FAILSLAB): ENOENT";
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
        let failed = Err(Stop::Fail("why".into()));
        assert_eq!(judge(Kernel::Debug, test, failed.clone()), failed);
    }
}
