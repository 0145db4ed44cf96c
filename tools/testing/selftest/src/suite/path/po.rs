// SPDX-License-Identifier: GPL-2.0

//! __mm_populate: which fault it makes of a page, and what that leaves.

use crate::area::{Area, Kind};
use crate::context::Context;
use crate::outcome::Result;
use crate::view::{faults_of_stores, resident, smap};
use crate::{cases, check_eq};
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::Mapping;

cases! {
    Rmmap populate_private_copies_pages_of_memfd ["PO-07"] "control: a private writable memfd is populated with copies of pages that stay; the device has none";
    Rmmap populate_dirties_nothing ["PO-08", "MR-40"] "MAP_POPULATE of a shared writable mapping reads: nothing dirty (control: memfd), then stores without a fault";
}

/// Pages that these tests map.
const PAGES: usize = 8;

fn populate_private_copies_pages_of_memfd(_: &Context) -> Result {
    for (kind, held) in [(Kind::Memfd, PAGES), (Kind::Device, 0)] {
        let area = Area::new(kind, PAGES)?;
        let m = area
            .whole()
            .private()
            .flags(MapFlags::POPULATE)
            .map(&area)?;
        check_eq!((resident(&m)?, smap(&m)?.kb("Anonymous")), (PAGES, 32));
        check_eq!(
            area.held_pages()?,
            held,
            "pages in {kind:?} beside the copies"
        );
    }
    Ok(())
}

/// What smaps calls dirty of a mapping, kB: of its page table entries, and of the pages themselves.
fn dirty(m: &Mapping) -> Result<u64> {
    let smap = smap(m)?;
    Ok(smap.kb("Private_Dirty") + smap.kb("Shared_Dirty"))
}

fn populate_dirties_nothing(_: &Context) -> Result {
    for kind in [Kind::Memfd, Kind::Device] {
        let area = Area::new(kind, PAGES)?;
        let count = area.count()?;
        let m = area.whole().flags(MapFlags::POPULATE).map(&area)?;
        check_eq!(resident(&m)?, PAGES);
        // Pages of rmmap are dirty from the moment that they are made.
        let want = if area.is_rmmap() { 32 } else { 0 };
        check_eq!(
            dirty(&m)?,
            want,
            "kB of {kind:?} that are dirty after MAP_POPULATE"
        );
        if let Some(writes) = count.get("fault_write")? {
            check_eq!((writes, count.get("fault_read")?), (0, Some(PAGES as u64)));
        }
        check_eq!(faults_of_stores(&m)?, 0, "faults of stores to {kind:?}");
        check_eq!(dirty(&m)?, 32, "kB of {kind:?} that are dirty after stores");
    }
    Ok(())
}
