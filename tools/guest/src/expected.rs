// SPDX-License-Identifier: GPL-2.0

//! The only report in the kernel log that a test causes on purpose.
//!
//! A driver that offers both hooks of mmap(2) makes the kernel warn, and one of the device tests is
//! such a driver. The warning is identified by file, function, process and module, and accepted
//! once for each time that this test passed; the test passes only if it found the warning itself.
//! Never add another report here instead of fixing its cause.

use crate::klog::Splat;
use crate::record::{Outcome, Record};

/// The test.
const TEST: &str = "selftest/ctl_both_hooks_warn";

/// Returns whether a record says that the test passed.
pub fn is_pass(record: &Record) -> bool {
    record.id == TEST && record.outcome == Outcome::Pass
}

/// Removes the test's own reports from those of a section of the log, one for each of its `passes`
/// in that section.
pub fn without(splats: Vec<Splat>, passes: usize) -> Vec<Splat> {
    let mut left = passes;
    let is_other = |splat: &Splat| {
        let is_expected = left > 0 && is_both_hooks(splat);
        left -= usize::from(is_expected);
        !is_expected
    };
    splats.into_iter().filter(is_other).collect()
}

/// Returns whether this is the `WARN_ON_ONCE()` of `can_mmap_file()`, which is inlined into
/// `do_mmap()`, in a process of `rmmap-selftest` while the control devices are loaded.
fn is_both_hooks(splat: &Splat) -> bool {
    let text = &splat.text;
    let is_place = text.starts_with("WARNING: include/linux/fs.h:")
        && text.contains(" at do_mmap+0x")
        && text.contains(": rmmap-selftest/");
    let is_module =
        |line: &String| line.starts_with("Modules linked in: ") && line.contains(" rmmap_ctl(");
    is_place && splat.context.iter().any(is_module)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Test;

    fn splat(text: &str, modules: &str) -> Splat {
        Splat {
            text: text.into(),
            context: vec![modules.into(), "RIP: 0010:do_mmap+0x7a0/0x7c0".into()],
        }
    }

    const TEXT: &str =
        "WARNING: include/linux/fs.h:2050 at do_mmap+0x7a0/0x7c0, CPU#0: rmmap-selftest/125";
    const MODULES: &str = "Modules linked in: rmmap_ctl(OE) rmmap(OE) 9p [last unloaded: x]";

    #[test]
    fn one_warning_for_each_pass() {
        let twice = vec![splat(TEXT, MODULES), splat(TEXT, MODULES)];
        assert_eq!(without(twice.clone(), 0).len(), 2);
        assert_eq!(without(twice.clone(), 1).len(), 1);
        assert_eq!(without(twice, 2).len(), 0);
    }

    #[test]
    fn everything_else_stays() {
        let others = [
            (TEXT.replace("do_mmap", "mmap_region"), MODULES.to_owned()),
            (TEXT.replace("fs.h", "mm.h"), MODULES.to_owned()),
            (TEXT.replace("rmmap-selftest/", "bash/"), MODULES.to_owned()),
            (TEXT.to_owned(), MODULES.replace("rmmap_ctl(", "rmmap_x(")),
            (TEXT.replace("WARNING", "BUG"), MODULES.to_owned()),
        ];
        for (text, modules) in others {
            let other = vec![splat(&text, &modules)];
            assert_eq!(without(other.clone(), 1), other);
        }
    }

    #[test]
    fn only_the_tests_pass_counts() {
        let record = |id: &str, outcome| {
            let (group, name) = id.split_once('/').unwrap();
            Record::new(group, "stock", None, Test::new(name, outcome, ""))
        };
        assert!(is_pass(&record(TEST, Outcome::Pass)));
        assert!(!is_pass(&record(TEST, Outcome::Skip)));
        assert!(!is_pass(&record(TEST, Outcome::Fail)));
        assert!(!is_pass(&record("selftest/ctl_both", Outcome::Pass)));
    }
}
