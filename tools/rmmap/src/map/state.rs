// SPDX-License-Identifier: GPL-2.0

//! The kernel's information about a mapping of this process.

use rmmap_procfs::{Map, Process, Smap};
use rmmap_sys::{Mapping, PAGE_SIZE};
use serde::Serialize;

/// kB of a page.
const PAGE_KB: u64 = PAGE_SIZE as u64 / 1024;

/// A sample of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// Its line of `/proc/self/maps`. If it merged with a neighbour, the line covers both.
    pub maps: String,
    /// `VmFlags` of smaps.
    pub vm_flags: rmmap_procfs::VmFlags,
    /// Pages of the mapping.
    pub pages: u64,
    /// Pages that are present in the page table (pagemap).
    pub resident: u64,
    /// Dirty pages (smaps).
    pub dirty: u64,
    /// Locked pages (smaps).
    pub locked: u64,
    /// Pages that are mapped by a huge entry, or are of hugetlbfs (smaps).
    pub huge: u64,
    /// Pages of the process's own (smaps).
    pub anonymous: u64,
}

impl State {
    /// Samples `mapping`.
    pub fn of(mapping: &Mapping) -> Result<Self, rmmap_procfs::Error> {
        let me = Process::Myself;
        let (address, pages) = (mapping.address(), mapping.pages());
        let resident = me.pagemap()?.resident(address, pages)?;
        let smap = me.smap_at(address)?;
        Ok(Self::from(&smap, pages as u64, resident as u64))
    }

    fn from(smap: &Smap, pages: u64, resident: u64) -> Self {
        Self {
            maps: maps_line(&smap.map),
            vm_flags: smap.vm_flags.clone(),
            pages,
            resident,
            dirty: pages_of(smap, &["Shared_Dirty", "Private_Dirty"]),
            locked: pages_of(smap, &["Locked"]),
            huge: pages_of(smap, HUGE),
            anonymous: pages_of(smap, &["Anonymous"]),
        }
    }
}

/// The counters of smaps for huge pages.
pub const HUGE: &[&str] = &[
    "AnonHugePages",
    "ShmemPmdMapped",
    "FilePmdMapped",
    "Shared_Hugetlb",
    "Private_Hugetlb",
];

/// The sum of sizes of smaps, in pages.
pub fn pages_of(smap: &Smap, names: &[&str]) -> u64 {
    names.iter().map(|name| smap.kb(name)).sum::<u64>() / PAGE_KB
}

/// Returns a mapping as `/proc/PID/maps` shows it.
pub fn maps_line(map: &Map) -> String {
    let Map {
        range,
        perms,
        offset,
        dev,
        inode,
        name,
    } = map;
    let name = name.as_deref().unwrap_or_default();
    let line = format!(
        "{:08x}-{:08x} {perms} {offset:08x} {dev} {inode} {name}",
        range.start, range.end
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmmap_sys::MapOptions;

    #[test]
    fn a_mapping_is_seen_as_it_fills() {
        let mapping = MapOptions::new(16 * PAGE_SIZE)
            .private()
            .map_anonymous()
            .unwrap();
        let before = State::of(&mapping).unwrap();
        assert_eq!((before.pages, before.resident), (16, 0));
        assert!(before.maps.contains(" rw-p "), "{}", before.maps);
        assert!(before.vm_flags.has("rd") && !before.vm_flags.has("sh"));
        for page in 0..4 {
            mapping.touch_write(page, 1).unwrap();
        }
        let after = State::of(&mapping).unwrap();
        assert!(after.resident >= 4 && after.anonymous >= 4 && after.dirty >= 4);
    }

    #[test]
    fn a_line_is_the_kernels() {
        let line = "7f2c00000000-7f2c00010000 rw-s 00007000 00:05 314 /dev/rmmap";
        let map = rmmap_procfs::maps::parse(line).unwrap().remove(0);
        assert_eq!(maps_line(&map), line);
    }
}
