// SPDX-License-Identifier: GPL-2.0

//! A fault handler cannot lock an inode: write(2) takes page faults with the inode locked.

//~ ERROR E0061
//~ MESSAGE this method takes 1 argument but 0 arguments were supplied

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
        let _guard = vmf.data().lock();
        vmf.sigbus()
    }
}
