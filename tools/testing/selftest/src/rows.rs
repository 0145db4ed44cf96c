// SPDX-License-Identifier: GPL-2.0

//! The branches of the mmap path, as data: one table, `rows/*.toml`, is what tests name and what
//! `Documentation/mmap-path.rst` is made of.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The rows of one function of the path.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What the group is about: a function, and the file that it is in.
    pub title: String,
    /// Its branches, in the order of the code.
    #[serde(rename(deserialize = "row"))]
    pub rows: Vec<Row>,
}

/// One branch.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name: `MR-14`.
    pub id: String,
    /// What the walk through the older kernel says of it; in parentheses what that does not have.
    pub seed: String,
    /// Where it is now, as `file.c:function`, and what differs.
    pub kernel: String,
    /// How to get there.
    pub trigger: String,
    /// What is seen then.
    pub expected: String,
    /// Who can get there.
    pub reach: Reach,
    /// Why nobody can, where nobody can.
    #[serde(default)]
    pub why: String,
}

/// Who can take a branch.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Any user who may open the device.
    Anyone,
    /// Who is root, or has a system prepared by root.
    Privileged,
    /// Nobody, from userspace on x86-64.
    No,
}

/// The whole table.
pub static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let files = [
        include_str!("../rows/mk.toml"),
        include_str!("../rows/sc.toml"),
        include_str!("../rows/ks.toml"),
        include_str!("../rows/vm.toml"),
        include_str!("../rows/dm.toml"),
        include_str!("../rows/mr.toml"),
        include_str!("../rows/po.toml"),
    ];
    // The test below reads them, too: a mistake does not get into a program.
    let read = |text| toml::from_str(text).unwrap_or_else(|e| panic!("rows/: {e}"));
    files.map(read).into()
});

/// All rows, in the order of the path.
pub fn all() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|group| &group.rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_row_has_a_name_of_its_own_and_a_reason_if_it_cannot_be_reached() {
        let mut seen = HashSet::new();
        for row in all() {
            assert!(seen.insert(&row.id), "{} is there twice", row.id);
            assert_eq!(row.reach == Reach::No, !row.why.is_empty(), "{}", row.id);
        }
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
