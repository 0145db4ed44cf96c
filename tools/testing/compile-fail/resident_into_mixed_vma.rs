// SPDX-License-Identifier: GPL-2.0

//! Folios of the page cache go into plain VMAs only, also several at once.

//~ ERROR E0599
//~ MESSAGE the method `map_resident` exists

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::vm::{
    fault::{
        Answer,
        VmFault, //
    },
    ops::VmOperations,
    vma::Mixed, //
};

/// The driver's mappings.
struct Vm;

#[vtable]
impl VmOperations for Vm {
    type OwnerModule = common::Owner;
    type Data = common::MemoryRef;
    type Private = ();
    type Kind = Mixed;
    type Atomic = common::Memory;

    fn atomic(data: &Self::Data) -> &Self::Atomic {
        data
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        let pages = vmf.table();
        match vmf.map_resident(pages) {
            Ok(answer) => answer,
            Err(vmf) => vmf.sigbus(),
        }
    }
}
