// SPDX-License-Identifier: GPL-2.0

//! This case compiles. It shows that the others fail for the reasons that they name, and not
//! because of the set-up.

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
        match vmf.data().mapping().lock_folio(vmf.pgoff()) {
            Some(folio) => vmf.locked(folio),
            None => vmf.sigbus(),
        }
    }
}
