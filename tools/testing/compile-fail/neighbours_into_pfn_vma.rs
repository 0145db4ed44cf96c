// SPDX-License-Identifier: GPL-2.0

//! Folios of the page cache go into plain VMAs only, also as neighbours of a fault.

//~ ERROR E0599
//~ MESSAGE the method `map_resident` exists

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::vm::{
    fault::Answer,
    map_pages::MapPages,
    ops::VmOperations,
    vma::Pfn, //
};

/// The driver's mappings.
struct Vm;

#[vtable]
impl VmOperations for Vm {
    type OwnerModule = common::Owner;
    type Data = common::MemoryRef;
    type Private = ();
    type Kind = Pfn;
    type Atomic = common::Memory;

    fn atomic(data: &Self::Data) -> &Self::Atomic {
        data
    }

    fn map_pages(pages: MapPages<'_, Self>) -> Answer<'_> {
        pages.map_resident()
    }
}
