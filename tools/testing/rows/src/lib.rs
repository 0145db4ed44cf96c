// SPDX-License-Identifier: GPL-2.0

//! The branches of the mmap path, as data: one table, the files `*.toml` here, is what tests name and
//! what `Documentation/mmap-path.rst` is made of.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The rows of one function of the path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What the group is about: a function, and the file that it is in.
    pub title: String,
    /// Its branches, in the order of the code.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// One branch.
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Any user who may open the device.
    Anyone,
    /// Who is root, or has a system prepared by root.
    Privileged,
    /// Nobody, from userspace on x86-64.
    No,
}

/// A test that is of branches.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// Its names in results: one for each object that it is run on.
    pub variants: Vec<String>,
    /// The branches.
    pub rows: Vec<String>,
}

/// The whole table.
pub static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let files = [
        include_str!("../mk.toml"),
        include_str!("../sc.toml"),
        include_str!("../ks.toml"),
        include_str!("../vm.toml"),
        include_str!("../dm.toml"),
        include_str!("../mr.toml"),
        include_str!("../po.toml"),
    ];
    // The test below reads them, too: a mistake does not get into a program.
    let read = |text| toml::from_str(text).unwrap_or_else(|e| panic!("tools/testing/rows: {e}"));
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
}
