// SPDX-License-Identifier: GPL-2.0

//! The fault handler of a private write to a hole can supply only zeroes to copy: the core would
//! copy the first page of any other folio.

//~ ERROR E0308
//~ MESSAGE mismatched types

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::vm::{
    fault::{
        Answer,
        VmFault, //
    },
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

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        let Some(folio) = vmf.data().mapping().get_folio(vmf.pgoff()) else {
            return vmf.sigbus();
        };
        match vmf.into_cow() {
            Ok(cow) => cow.copy_of(folio),
            Err(vmf) => vmf.sigbus(),
        }
    }
}
