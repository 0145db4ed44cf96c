// SPDX-License-Identifier: GPL-2.0

//! `map_pages` runs under RCU: a driver cannot call functions there that may sleep.

//~ ERROR E0599
//~ MESSAGE no method named `mapping` found for struct `MapPages

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::vm::{
    fault::Answer,
    map_pages::MapPages,
    ops::VmOperations,
    vma::Plain, //
};

/// The driver's mappings.
struct Vm;

#[vtable]
impl VmOperations for Vm {
    type OwnerModule = common::Owner;
    type Data = common::MemoryRef;
    type Private = ();
    type Kind = Plain;
    type Atomic = common::Memory;

    fn atomic(data: &Self::Data) -> &Self::Atomic {
        data
    }

    fn map_pages(pages: MapPages<'_, Self>) -> Answer<'_> {
        let _held = pages.mapping().invalidate_lock_shared();
        pages.map_resident()
    }
}
