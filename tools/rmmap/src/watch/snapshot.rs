// SPDX-License-Identifier: GPL-2.0

//! The state at one moment.

use rmmap_procfs::VmFlags;
use serde::Serialize;

/// The properties of one page: a set of the bits below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page(pub u8);

impl Page {
    /// In memory, and in the page table of the mapping.
    pub const RESIDENT: Page = Page(1);
    /// Dirty.
    pub const DIRTY: Page = Page(2);
    /// Locked into memory.
    pub const LOCKED: Page = Page(4);
    /// Part of a huge page.
    pub const HUGE: Page = Page(8);
    /// Mapped more than once.
    pub const SHARED: Page = Page(16);
    /// Swapped out.
    pub const SWAPPED: Page = Page(32);
    /// The object holds it, regardless of mappings.
    pub const HELD: Page = Page(64);

    /// Returns whether all bits of `other` are set.
    pub fn has(self, other: Page) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the bits of `other` if `is_so`.
    pub fn with(self, other: Page, is_so: bool) -> Page {
        match is_so {
            true => Page(self.0 | other.0),
            false => self,
        }
    }
}

/// The totals of all pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Sampled pages.
    pub pages: usize,
    /// Resident ones.
    pub resident: usize,
    /// Dirty ones. Of a mapping, this is the kernel's own number (smaps).
    pub dirty: usize,
    /// Locked ones.
    pub locked: usize,
    /// Huge ones.
    pub huge: usize,
    /// Shared ones.
    pub shared: usize,
    /// Swapped ones.
    pub swapped: usize,
    /// Those that the object holds.
    pub held: usize,
}

/// A sample of a mapping or an object.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The name of the mapping or object.
    pub title: String,
    /// First address of the mapping, or first byte of the object.
    pub start: usize,
    /// Its pages.
    pub pages: Vec<Page>,
    /// Its flags, if it is a mapping.
    pub vm_flags: Option<VmFlags>,
    /// The dirty pages according to smaps, if it is a mapping.
    pub dirty: Option<usize>,
    /// The unavailable information, and why.
    pub note: Option<String>,
}

impl Snapshot {
    /// Counts the totals.
    pub fn totals(&self) -> Totals {
        let count = |bit: Page| self.pages.iter().filter(|page| page.has(bit)).count();
        Totals {
            pages: self.pages.len(),
            resident: count(Page::RESIDENT),
            dirty: self.dirty.unwrap_or_else(|| count(Page::DIRTY)),
            locked: count(Page::LOCKED),
            huge: count(Page::HUGE),
            shared: count(Page::SHARED),
            swapped: count(Page::SWAPPED),
            held: count(Page::HELD),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_by_what_they_are() {
        let both = Page::RESIDENT
            .with(Page::DIRTY, true)
            .with(Page::HUGE, false);
        let mut snapshot = Snapshot {
            pages: vec![Page::default(), Page::RESIDENT, both, Page::HELD],
            ..Snapshot::default()
        };
        let totals = snapshot.totals();
        assert_eq!((totals.pages, totals.resident), (4, 2));
        assert_eq!((totals.dirty, totals.huge, totals.held), (1, 0, 1));
        snapshot.dirty = Some(2);
        assert_eq!(snapshot.totals().dirty, 2);
    }
}
