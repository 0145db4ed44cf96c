// SPDX-License-Identifier: GPL-2.0

//! The tests of the rows, for other programs: the output of `rmmap selftest --list --json`.

use crate::suite;
use rmmap_rows::Test;

/// Returns the tests of rows.
pub fn tests() -> Vec<Test> {
    let of_rows = suite::all().filter(|case| !case.rows.is_empty());
    let tests = of_rows.map(|case| {
        let kinds = case.kinds(false).iter();
        Test {
            name: case.name.to_owned(),
            variants: kinds.map(|kind| case.full_name(*kind)).collect(),
            rows: case.rows.iter().map(|row| row.to_string()).collect(),
        }
    });
    tests.collect()
}

#[cfg(test)]
mod tests {
    use crate::rows::{all, Reach};
    use std::collections::HashSet;

    #[test]
    fn tests_are_there_under_all_names() {
        let tests = super::tests();
        let test = |name| tests.iter().find(|test| test.name == name);
        let each = test("mmap_allocates_nothing").unwrap();
        assert_eq!(
            each.variants,
            [
                "mmap_allocates_nothing/region",
                "mmap_allocates_nothing/device"
            ]
        );
        assert_eq!(each.rows, ["MK-05"]);
        assert_eq!(test("perf_is_told").unwrap().variants, ["perf_is_told"]);
    }

    /// Reachable rows that have no test yet. The list only shrinks.
    const MISSING: &[&str] = &[];

    #[test]
    fn every_reachable_row_has_a_test() {
        let tested: HashSet<&str> = crate::suite::all()
            .flat_map(|case| case.rows)
            .copied()
            .collect();
        let reachable = all().filter(|row| row.reach != Reach::No);
        let missing: Vec<&str> = reachable
            .map(|row| row.id.as_str())
            .filter(|id| !tested.contains(id) && !MISSING.contains(id))
            .collect();
        assert!(missing.is_empty(), "no test names {missing:?}");
    }

    #[test]
    fn tests_name_rows_that_exist() {
        let known: HashSet<&str> = all().map(|row| row.id.as_str()).collect();
        for case in crate::suite::all() {
            for row in case.rows {
                assert!(known.contains(row), "{}: there is no row {row}", case.name);
            }
        }
    }
}
