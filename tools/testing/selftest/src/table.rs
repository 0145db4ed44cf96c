// SPDX-License-Identifier: GPL-2.0

//! Rows and tests, for other programs: what `rmmap selftest --list --json` prints.

use crate::rows::{Group, GROUPS};
use crate::suite;
use serde::Serialize;

/// All of it.
#[derive(Debug, Serialize)]
pub struct Table {
    /// The branches of the mmap path.
    pub groups: &'static [Group],
    /// The tests that are of a branch.
    pub tests: Vec<Test>,
}

/// A test that is of a branch.
#[derive(Debug, Serialize)]
pub struct Test {
    /// Its name.
    pub name: &'static str,
    /// Its names in results: one for each object that it is run on.
    pub variants: Vec<String>,
    /// The branches.
    pub rows: &'static [&'static str],
    /// What it is about.
    pub about: &'static str,
}

/// Makes the table.
pub fn table() -> Table {
    let of_rows = suite::all().filter(|case| !case.rows.is_empty());
    let tests = of_rows.map(|case| Test {
        name: case.name,
        variants: case
            .kinds(false)
            .iter()
            .map(|kind| case.full_name(*kind))
            .collect(),
        rows: case.rows,
        about: case.about,
    });
    Table {
        groups: &GROUPS,
        tests: tests.collect(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn tests_are_there_under_all_names() {
        let table = super::table();
        let test = |name| table.tests.iter().find(|test| test.name == name);
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
        assert_eq!(table.groups[0].rows[0].id, "MK-01");
    }
}
