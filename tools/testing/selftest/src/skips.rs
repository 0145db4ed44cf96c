// SPDX-License-Identifier: GPL-2.0

//! The skips that are expected, by kernel: `expected-skips.toml`.

use crate::outcome::{Result, Stop};
use clap::ValueEnum;
use serde::Deserialize;
use std::sync::LazyLock;

/// A kernel of the lab.
#[derive(ValueEnum, Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// Debian's.
    Stock,
    /// The one with all checks.
    Debug,
    /// The one that counts the code that runs.
    Coverage,
}

/// One entry of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// The test's name, without what it is run on.
    pub test: String,
    /// The kernels that it is skipped on.
    pub kernels: Vec<Kernel>,
    /// A part of what the test says then.
    pub reason: String,
    /// Why that is accepted.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    skip: Vec<Skip>,
}

static SKIPS: LazyLock<Vec<Skip>> = LazyLock::new(|| {
    // The tests below read it, too: a mistake does not get into a program.
    let file: File = toml::from_str(include_str!("../expected-skips.toml"))
        .unwrap_or_else(|e| panic!("expected-skips.toml: {e}"));
    file.skip
});

/// Returns the skips that are expected on a kernel.
pub fn expected_skips(kernel: Kernel) -> impl Iterator<Item = &'static Skip> {
    SKIPS
        .iter()
        .filter(move |skip| skip.kernels.contains(&kernel))
}

/// Turns the skip of a test into a failure, unless it is expected on this kernel for this reason.
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
