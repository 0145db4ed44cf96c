// SPDX-License-Identifier: GPL-2.0

//! Page faults: where the memory of a region comes from.
//!
//! 1. Beyond the end: `SIGBUS`, before anything is looked up. The invalidate lock keeps the end
//!    where it is, as in mm/secretmem.c.
//! 2. A page that is there is given.
//! 3. A private write to a hole gets a page of zeroes to copy, so that no memory is spent on a page
//!    that nobody shares.
//! 4. Otherwise zeroed memory is added, as much and in such folios as the policy says.

use crate::{
    policy::{
        self,
        How, //
    },
    region::{
        Region,
        RegionRef, //
    },
    stats::{
        Asked,
        Event,
        Given, //
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
        map_pages::MapPages,
        ops::VmOperations,
        vma::Plain, //
    }, //
};

/// Mappings of a region.
pub(crate) struct RegionVm;

#[vtable]
impl VmOperations for RegionVm {
    type Data = RegionRef;
    type Private = ();
    type Kind = Plain;
    type Atomic = Region;

    fn atomic(region: &RegionRef) -> &Region {
        region
    }

    fn fault(mut vmf: VmFault<'_, Self>) -> Answer<'_> {
        let region = vmf.data();
        let index = vmf.pgoff();
        let asked = Asked::of(&vmf);

        let held = vmf.invalidate_lock_shared(region.mapping());
        let end = region.mapping().size_pages();
        if index >= end {
            region.count_fault(asked, Given::Sigbus);
            trace::fault(region, &vmf, trace::Answer::Sigbus, 0);
            return vmf.sigbus();
        }
        if let Some(folio) = region.mapping().lock_folio(index) {
            region.count_fault(asked, Given::Cached);
            trace::fault(region, &vmf, trace::Answer::Cached, folio.order());
            return vmf.locked(folio);
        }
        trace::zero_page(region, &vmf);
        vmf = match vmf.into_cow() {
            Ok(cow) => {
                region.count_fault(asked, Given::Zero);
                return cow.copy_of(region.device.zero_page());
            }
            Err(vmf) => vmf,
        };
        add(region, &held, vmf, asked, end)
    }

    fn map_pages(pages: MapPages<'_, Self>) -> Answer<'_> {
        pages.atomic().count(Event::MapPages);
        trace::map_pages(pages)
    }
}

/// Answers a fault on a page that is missing, in a region of `end` pages.
fn add<'a>(
    region: &RegionRef,
    held: &InvalidateShared<'_>,
    mut vmf: VmFault<'a, RegionVm>,
    asked: Asked,
    end: usize,
) -> Answer<'a> {
    let index = vmf.pgoff();
    let plan = policy::for_fault(region, &vmf, end);
    let record = |end| {
        if let Some(level) = plan.level {
            region.streams.record(region.mapping(), end, level);
        }
    };
    let found = match plan.how {
        // The caller has just looked; one more look is needed only if somebody else was faster.
        How::Folio(room) => match AddressSpace::add_largest(held, index, &room, &***region) {
            Err(e) if e == EEXIST => AddressSpace::find_or_add(held, index, &room, &***region),
            added => added,
        },
        How::Batch(pages) => {
            let end = pages.end.min(vmf.table().end);
            let added = AddressSpace::add_single_pages(held, index..end, &***region);
            region.count_folios(0, added);
            record(index + added);
            trace::fault(region, &vmf, trace::Answer::New, 0);
            vmf = match vmf.map_resident(index..end) {
                Ok(answer) => {
                    region.count_fault(asked, Given::New);
                    return answer;
                }
                // It could not be had, or somebody holds its lock.
                Err(vmf) => vmf,
            };
            AddressSpace::find_or_add(held, index, &FolioRange::page(index), &***region)
        }
    };
    match found {
        Ok(Found::Added { folio, fell_back }) => {
            record(folio.end_of(index));
            region.count_fault(asked, Given::New);
            trace::fault(region, &vmf, trace::Answer::New, folio.order());
            region.count_new(folio.order(), fell_back);
            vmf.locked(folio)
        }
        // Another thread added it.
        Ok(Found::Cached(folio)) => {
            region.count_fault(asked, Given::Cached);
            trace::fault(region, &vmf, trace::Answer::Cached, folio.order());
            vmf.locked(folio)
        }
        Err(_) => {
            let given = match vmf.is_access() {
                true => Given::Sigbus,
                false => Given::Oom,
            };
            region.count_fault(asked, given);
            trace::fault(region, &vmf, trace::Answer::no_memory(&vmf), 0);
            vmf.no_memory()
        }
    }
}
