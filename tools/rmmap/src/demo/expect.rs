// SPDX-License-Identifier: GPL-2.0

//! The expectation for each row: the rules, in one place.
//!
//! The ids are those of the mmap path's table (MK, kinds of mapping; PO, `__mm_populate`).

use crate::observe::PAGES;
use rmmap_sys::PAGE_SIZE;

use super::{
    case::{Case, Kind, Way},
    facts::Facts,
};

/// Size of a page, KiB.
const PAGE_KB: u64 = PAGE_SIZE as u64 / 1024;

/// Returns whether the memory is allocated before mmap(2), or mlockall(2), returns.
fn is_populated(way: Way) -> bool {
    match way {
        // MK-05: mmap only builds the mapping.
        Way::Lazy => false,
        // MK-07.
        Way::Populate => true,
        // MK-08: MAP_NONBLOCK cancels MAP_POPULATE.
        Way::PopulateNonblock => false,
        // MK-09, MK-11, MK-12: VM_LOCKED populates.
        Way::Locked | Way::LockallCurrent | Way::LockallFuture => true,
    }
}

/// Returns whether the mapping is locked: `lo`, and counted in VmLck (MK-09, MK-11, MK-12).
fn is_locked(way: Way) -> bool {
    matches!(way, Way::Locked | Way::LockallCurrent | Way::LockallFuture)
}

/// Ids of the rows of the mmap path's table that determine a case.
pub fn rules(case: Case) -> Vec<&'static str> {
    let kind = match case.kind {
        Kind::PrivateFile => "MK-01",
        Kind::SharedFile => "MK-02",
        Kind::PrivateAnonymous => "MK-03",
        Kind::SharedAnonymous => "MK-04",
    };
    let way = match case.way {
        Way::Lazy => "MK-05",
        Way::Populate => "MK-07",
        Way::PopulateNonblock => "MK-08",
        Way::Locked => "MK-09",
        Way::LockallCurrent => "MK-11",
        Way::LockallFuture => "MK-12",
    };
    let mut rules = vec![kind, way];
    if is_populated(case.way) && case.kind != Kind::PrivateAnonymous {
        rules.push(if case.kind.is_shared() {
            "PO-08"
        } else {
            "PO-07"
        });
    }
    if case.kind == Kind::PrivateFile {
        rules.push("PO-14");
    }
    rules
}

/// Returns the facts that the case must show; `target` is the name of the device's mapping in maps.
pub fn expected(case: Case, target: &str) -> Facts {
    let pages = PAGES as u64;
    let Case { kind, way } = case;
    // Every page costs one fault, either now or later. A page that a populating read fault of a
    // shared mapping installed is writable at once, so the store does not fault (PO-08).
    let (faults_mmap, faults_touch) = if is_populated(way) {
        (pages, 0)
    } else {
        (0, pages)
    };
    let mut facts = Facts {
        resident_after_mmap: faults_mmap,
        resident_after_touch: pages,
        faults_mmap,
        faults_touch,
        locked_kb: if is_locked(way) { pages * PAGE_KB } else { 0 },
        flags: flags(case),
        ..Facts::default()
    };
    match kind {
        // PO-07, PO-14: write faults. The device answers each with the zero page, which the core
        // copies. The device holds nothing.
        Kind::PrivateFile => {
            facts.answer_zero = pages;
            facts.anonymous = pages;
        }
        Kind::SharedFile => {
            facts.answer_new = pages;
            facts.held = pages;
            // PO-08: a populate of a shared mapping takes read faults, and a read fault first looks
            // for resident neighbours, of which there are none.
            facts.map_pages = if is_populated(way) { pages } else { 0 };
        }
        Kind::PrivateAnonymous => facts.anonymous = pages,
        Kind::SharedAnonymous => facts.name = Some("/dev/zero (deleted)".to_owned()),
    }
    if kind.is_file() {
        facts.hook = 1;
        facts.name = Some(target.to_owned());
    }
    facts
}

/// Returns the flags that the mapping must have.
fn flags(case: Case) -> std::collections::BTreeSet<String> {
    let mut flags = vec!["rd", "wr", "mw"];
    if case.kind.is_shared() {
        flags.extend(["sh", "ms"]);
    } else {
        // MR-11: private and writable, so it counts against the commit limit.
        flags.push("ac");
    }
    if is_locked(case.way) {
        flags.push("lo");
    }
    flags.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::facts::Column;

    fn expect(kind: Kind, way: Way) -> Facts {
        expected(Case { kind, way }, "/dev/rmmap")
    }

    #[test]
    fn every_page_is_paid_for_once() {
        for case in Case::all() {
            let facts = expected(case, "/dev/rmmap");
            assert_eq!(facts.faults_mmap + facts.faults_touch, 16, "{case:?}");
            assert_eq!(facts.resident_after_mmap, facts.faults_mmap, "{case:?}");
        }
    }

    #[test]
    fn nonblock_takes_populate_back() {
        for kind in Kind::ALL {
            assert_eq!(expect(kind, Way::PopulateNonblock), expect(kind, Way::Lazy));
            assert_ne!(expect(kind, Way::Populate), expect(kind, Way::Lazy));
        }
    }

    #[test]
    fn locking_populates_and_counts() {
        for way in [Way::Locked, Way::LockallCurrent, Way::LockallFuture] {
            let facts = expect(Kind::SharedFile, way);
            assert_eq!((facts.resident_after_mmap, facts.locked_kb), (16, 64));
            assert!(facts.flags.contains("lo"));
        }
        assert_eq!(expect(Kind::SharedFile, Way::Populate).locked_kb, 0);
    }

    #[test]
    fn only_the_device_has_a_hook() {
        for case in Case::all() {
            let facts = expected(case, "/dev/rmmap");
            assert_eq!(facts.hook, u64::from(case.kind.is_file()));
            let answers = facts.answer_new + facts.answer_zero;
            assert_eq!(answers, if case.kind.is_file() { 16 } else { 0 });
        }
    }

    #[test]
    fn a_private_mapping_leaves_nothing_in_the_device() {
        let facts = expect(Kind::PrivateFile, Way::Populate);
        assert_eq!((facts.held, facts.anonymous, facts.map_pages), (0, 16, 0));
    }

    #[test]
    fn a_difference_names_fact_and_column() {
        let want = expect(Kind::SharedFile, Way::Lazy);
        let have = Facts {
            hook: 0,
            resident_after_touch: 15,
            ..want.clone()
        };
        let found = Facts::differences(&want, &have);
        let columns: Vec<_> = found.iter().map(|difference| difference.column).collect();
        assert_eq!(columns, [Column::Resident, Column::Hook]);
        assert_eq!(
            found[1].to_string(),
            "calls of the hook: expected 1, observed 0"
        );
        assert_eq!(Facts::differences(&want, &want), []);
    }

    #[test]
    fn each_case_names_its_rules() {
        let case = Case {
            kind: Kind::SharedFile,
            way: Way::Populate,
        };
        assert_eq!(rules(case), ["MK-02", "MK-07", "PO-08"]);
    }
}
