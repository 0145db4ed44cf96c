// SPDX-License-Identifier: GPL-2.0

//! The branches of the mmap path, as data: the files `*.toml` here are one table. Tests name its
//! rows, and `Documentation/mmap-path.rst` is generated from it.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The rows of one function of the path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The subject of the group: a function, and its source file.
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
    /// Its description in the walkthrough of an older kernel (the seed); in parentheses a branch
    /// that the seed lacks.
    pub seed: String,
    /// Its place in the kernel under test, as `file.c:function`, and the differences.
    pub kernel: String,
    /// How a program reaches it.
    pub trigger: String,
    /// The result that a program sees.
    pub expected: String,
    /// The users who can reach it.
    pub reach: Reach,
    /// The reason why no program can reach it, if so.
    #[serde(default)]
    pub why: String,
}

/// The users who can reach a branch.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Any user who may open the device.
    Anyone,
    /// Root, or a user of a system that root prepared.
    Privileged,
    /// Nobody, from userspace on x86-64.
    No,
}

/// A test that covers branches.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// Its names in results: one for each object that it runs on.
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
    // The test below reads them, too, so a mistake does not reach a program.
    let read = |text| toml::from_str(text).unwrap_or_else(|e| panic!("tools/testing/rows: {e}"));
    files.map(read).into()
});

/// Returns all rows, in the order of the path.
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
