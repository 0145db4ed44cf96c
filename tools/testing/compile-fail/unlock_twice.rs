// SPDX-License-Identifier: GPL-2.0

//! A driver unlocks a folio once.

//~ ERROR E0382
//~ MESSAGE use of moved value: `folio`

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
        let Some(folio) = vmf.data().mapping().lock_folio(vmf.pgoff()) else {
            return vmf.sigbus();
        };
        drop(folio);
        drop(folio);
        vmf.sigbus()
    }
}
