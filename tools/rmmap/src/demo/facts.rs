// SPDX-License-Identifier: GPL-2.0

//! The facts about a mapping after it was made and touched, expected and observed alike.

use std::{collections::BTreeSet, fmt};

use rmmap_procfs::VmFlags;
use serde::{Deserialize, Serialize};

/// The `VmFlags` that the way of mapping determines. The others depend on the machine: `me` on
/// whether `/dev` is mounted noexec, `sd` on soft-dirty support.
pub const DECIDED_FLAGS: [&str; 9] = ["rd", "wr", "ex", "sh", "ms", "mw", "lo", "lf", "ac"];

/// The facts that are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Pages resident (bit 63 of pagemap) when the mapping was made.
    pub resident_after_mmap: u64,
    /// Pages resident after each page was written to.
    pub resident_after_touch: u64,
    /// Page faults that the process took while the mapping was made.
    pub faults_mmap: u64,
    /// Page faults that the process took while it touched the pages.
    pub faults_touch: u64,
    /// Page faults that waited for a disk.
    pub faults_major: u64,
    /// Faults that the device's handler answered with a new folio.
    pub answer_new: u64,
    /// Faults that the device's handler answered with a folio of the page cache.
    pub answer_cached: u64,
    /// Faults that the device's handler answered with its zero page.
    pub answer_zero: u64,
    /// Faults that the device's handler refused, or told the core to retry.
    pub answer_other: u64,
    /// Calls of the device's `map_pages`.
    pub map_pages: u64,
    /// Pages that are the process's own, supplied by the core (smaps: `Anonymous`).
    pub anonymous: u64,
    /// Pages that the device's region holds afterwards, more than before.
    pub held: u64,
    /// Calls of the device's hook for mmap(2).
    pub hook: u64,
    /// Locked memory that munmap(2) released (status: `VmLck`), kB.
    pub locked_kb: u64,
    /// Name of the mapping in maps.
    pub name: Option<String>,
    /// Which of [`DECIDED_FLAGS`] the mapping has.
    pub flags: BTreeSet<String>,
}

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Column {
    /// Resident pages.
    Resident,
    /// Page faults.
    Faults,
    /// The sources of the answers.
    Answers,
    /// Calls of map_pages.
    Around,
    /// Pages that the device holds.
    Held,
    /// Calls of the hook.
    Hook,
    /// VmLck.
    Locked,
    /// VmFlags.
    Flags,
}

/// One fact that differs from the expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its column in the table.
    pub column: Column,
    /// Its name.
    pub fact: &'static str,
    /// The expected value.
    pub expected: String,
    /// The observed value.
    pub observed: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fact,
            expected,
            observed,
            ..
        } = self;
        write!(f, "{fact}: expected {expected}, observed {observed}")
    }
}

impl Facts {
    /// Keeps the flags that the way of mapping determines.
    pub fn decided(flags: &VmFlags) -> BTreeSet<String> {
        DECIDED_FLAGS
            .into_iter()
            .filter(|flag| flags.has(flag))
            .map(str::to_owned)
            .collect()
    }

    /// Compares the observed facts with the expected ones.
    pub fn differences(expected: &Facts, observed: &Facts) -> Vec<Difference> {
        let pairs = expected.entries().into_iter().zip(observed.entries());
        pairs
            .filter(|(want, have)| want.2 != have.2)
            .map(|((column, fact, expected), (.., observed))| Difference {
                column,
                fact,
                expected,
                observed,
            })
            .collect()
    }

    /// Returns every fact with its column, its name and its value.
    fn entries(&self) -> [(Column, &'static str, String); 16] {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let name = self.name.as_deref().unwrap_or("none");
        let n = |value: u64| value.to_string();
        use Column::*;
        [
            (Resident, "resident after mmap", n(self.resident_after_mmap)),
            (
                Resident,
                "resident after touching",
                n(self.resident_after_touch),
            ),
            (Faults, "faults while mapping", n(self.faults_mmap)),
            (Faults, "faults while touching", n(self.faults_touch)),
            (Faults, "major faults", n(self.faults_major)),
            (Answers, "answered with a new folio", n(self.answer_new)),
            (
                Answers,
                "answered with a folio from the page cache",
                n(self.answer_cached),
            ),
            (Answers, "answered with the zero page", n(self.answer_zero)),
            (
                Answers,
                "refused, or answered with a retry",
                n(self.answer_other),
            ),
            (Around, "calls of map_pages", n(self.map_pages)),
            (Answers, "anonymous pages of the process", n(self.anonymous)),
            (Held, "pages that the device holds", n(self.held)),
            (Hook, "calls of the hook", n(self.hook)),
            (Locked, "locked memory, kB", n(self.locked_kb)),
            (Answers, "name of the mapping", name.to_owned()),
            (Flags, "VmFlags", flags.join(" ")),
        ]
    }
}
