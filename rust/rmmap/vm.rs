// SPDX-License-Identifier: GPL-2.0

//! Page faults: where the memory of a region comes from.
//!
//! 1. Beyond the end: `SIGBUS`, before anything is looked up. The invalidate lock keeps the end
//!    where it is, as in mm/secretmem.c.
//! 2. A page that is there is given.
//! 3. A private write to a hole gets a page of zeroes to copy, so that no memory is spent on a page
//!    that nobody shares.
//! 4. Otherwise a zeroed page is added.

use crate::{
    region::{
        add_page,
        Region,
        RegionRef, //
    },
    stats::Event,
    trace, //
};
use kernel::prelude::*;
use kernel_mm::{
    fault::{
        Answer,
        VmFault, //
    },
    map_pages::MapPages,
    vm_ops::VmOperations,
    vma::Plain, //
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
        region.count(if vmf.is_cow() {
            Event::FaultCow
        } else if vmf.is_write() {
            Event::FaultWrite
        } else {
            Event::FaultRead
        });
        if !vmf.is_touch() {
            region.count(Event::FaultPopulate);
        }

        let held = region.mapping().invalidate_lock_shared();
        if index >= region.mapping().size_pages() {
            region.count(Event::AnswerSigbus);
            trace::fault(region, &vmf, trace::Answer::Sigbus, 0);
            return vmf.sigbus();
        }
        loop {
            if let Some(folio) = region.mapping().lock_folio(index) {
                region.count(Event::AnswerCached);
                trace::fault(region, &vmf, trace::Answer::Cached, folio.order());
                return vmf.locked(folio);
            }
            trace::zero_page(region, &vmf);
            vmf = match vmf.into_cow() {
                Ok(cow) => {
                    region.count(Event::AnswerZero);
                    return cow.copy_of(region.device.zero_page());
                }
                Err(vmf) => vmf,
            };
            match add_page(region, &held, index) {
                Ok(folio) => {
                    region.count(Event::AnswerNew);
                    trace::fault(region, &vmf, trace::Answer::New, folio.order());
                    return vmf.locked(folio);
                }
                // Another thread added it; take that one.
                Err(e) if e == EEXIST => {}
                Err(_) => {
                    region.count(if vmf.is_touch() {
                        Event::AnswerSigbus
                    } else {
                        Event::AnswerOom
                    });
                    trace::fault(region, &vmf, trace::Answer::no_memory(&vmf), 0);
                    return vmf.no_memory();
                }
            }
        }
    }

    fn map_pages(pages: MapPages<'_, Self>) -> Answer<'_> {
        pages.atomic().count(Event::MapPages);
        trace::map_pages(pages)
    }
}
