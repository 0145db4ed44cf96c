// SPDX-License-Identifier: GPL-2.0

//! Page faults: how a mapping of a region gets its memory.
//!
//! 1. A fault past EOF gets `SIGBUS`, before any lookup. The invalidate lock keeps EOF stable, as
//!    in mm/secretmem.c.
//! 2. A page in the page cache is mapped.
//! 3. A private write to a hole copies the page of zeroes: the page is not shared, so the region
//!    allocates none.
//! 4. Otherwise the handler adds zeroed folios, as [`crate::plan`] chooses.

use crate::{
    open_region::OpenRegion,
    plan::{
        self,
        Plan, //
    },
    region::{
        Region,
        RegionRef, //
    },
    stats::{
        Event,
        FaultKind,
        Outcome, //
    },
    trace, //
};
use kernel::prelude::*;
use kernel_mm::{
    cache::{
        address_space::{
            AddressSpace,
            InvalidateShared, //
        },
        insert::{
            FolioRange, //
            Found,
        }, //
    },
    vm::{
        fault::{
            Answer,
            VmFault, //
        },
        huge_fault::HugeFault,
        map_pages::MapPages,
        ops::VmOperations,
        vma::Plain, //
    }, //
};

/// Mappings of a region.
pub(crate) struct RegionVm;

#[vtable]
impl VmOperations for RegionVm {
    type Data = OpenRegion;
    type Private = ();
    type Kind = Plain;
    type Atomic = Region;

    fn atomic(region: &OpenRegion) -> &Region {
        region
    }

    fn fault(mut vmf: VmFault<'_, Self>) -> Answer<'_> {
        let region = vmf.data();
        let index = vmf.pgoff();

        let held = vmf.invalidate_lock_shared(region.mapping());
        let end = region.mapping().size_pages();
        if index >= end {
            record_fault(&vmf, Outcome::Sigbus, 0);
            return vmf.sigbus();
        }
        if let Some(folio) = region.mapping().lock_folio(index) {
            record_fault(&vmf, Outcome::Cached, folio.order());
            return vmf.locked(folio);
        }
        vmf = match vmf.into_cow() {
            Ok(cow) => {
                record_fault(cow.as_fault(), Outcome::Zero, 0);
                return cow.copy_of(region.device.zero_page());
            }
            Err(vmf) => vmf,
        };
        fault_in_missing(region, &held, vmf, end)
    }

    /// Maps a resident huge page. Writes are left to `fault`, with which the core updates mtime
    /// (`do_shared_fault()`).
    fn huge_fault(vmf: HugeFault<'_, Self>) -> Answer<'_> {
        let fault = vmf.as_fault();
        if fault.is_write() {
            return vmf.fallback();
        }
        match vmf.data().mapping().lock_folio(fault.pgoff()) {
            Some(folio) if vmf.fits(&folio) => {
                record_fault(fault, Outcome::Cached, folio.order());
                vmf.insert_folio(folio)
            }
            _ => vmf.fallback(),
        }
    }

    fn map_pages(pages: MapPages<'_, Self>) -> Answer<'_> {
        pages.atomic().count(Event::MapPages);
        trace::map_pages(pages)
    }
}

/// Handles a fault on a missing page of a region of `end` pages.
fn fault_in_missing<'a>(
    region: &RegionRef,
    held: &InvalidateShared<'_>,
    vmf: VmFault<'a, RegionVm>,
    end: usize,
) -> Answer<'a> {
    let index = vmf.pgoff();
    let quota = region.inode_data();
    let found = match plan::for_fault(region, &vmf, end) {
        // The caller has just looked the page up: another lookup is needed only after a race.
        Plan::Folio(range) => match AddressSpace::add_largest(held, index, &range, quota) {
            Err(e) if e == EEXIST => AddressSpace::find_or_add(held, index, &range, quota),
            added => added,
        },
        Plan::SinglePages(pages) => {
            let end = pages.end.min(vmf.table().end);
            let added = AddressSpace::add_single_pages(held, index..end, quota);
            if added > 0 {
                region.count_folios(0, added - 1);
                record_fault(&vmf, Outcome::New, 0);
                return match vmf.map_resident(index..end) {
                    Ok(answer) => answer,
                    Err(vmf) => map_one(region, vmf),
                };
            }
            AddressSpace::find_or_add(held, index, &FolioRange::page(index), quota)
        }
    };
    match found {
        Ok(Found::Added { folio, fell_back }) => {
            let order = folio.order();
            record_fault(&vmf, Outcome::New, order);
            region.record_order(order, fell_back);
            vmf.locked(folio)
        }
        // Another thread added it.
        Ok(Found::Cached(folio)) => {
            record_fault(&vmf, Outcome::Cached, folio.order());
            vmf.locked(folio)
        }
        Err(_) => {
            record_fault(&vmf, Outcome::no_memory(&vmf), 0);
            vmf.no_memory()
        }
    }
}

/// Handles a fault whose page was added and could not be mapped together with its neighbours:
/// another thread holds its lock, or userfaultfd requires a fault for each page.
#[cold]
fn map_one<'a>(region: &RegionRef, vmf: VmFault<'a, RegionVm>) -> Answer<'a> {
    match region.mapping().lock_folio(vmf.pgoff()) {
        Some(folio) => vmf.locked(folio),
        // The page's memory has just failed. The access faults again.
        None => vmf.nopage(),
    }
}

/// Counts and traces a fault: its outcome, and the order of the folio that it maps, or 0. A new
/// folio is counted as well.
#[inline(always)]
fn record_fault(vmf: &VmFault<'_, RegionVm>, outcome: Outcome, order: u32) {
    let region = vmf.data();
    region.count_fault(FaultKind::of(vmf), outcome, order);
    trace::fault(region.ino(), vmf, outcome, order);
}
