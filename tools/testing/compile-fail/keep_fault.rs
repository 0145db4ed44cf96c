// SPDX-License-Identifier: GPL-2.0

//! A fault handler cannot keep its fault after it has returned.

//~ ERROR E0521
//~ MESSAGE borrowed data escapes outside of

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
        keep(KBox::new(vmf, GFP_KERNEL).unwrap());
        loop {}
    }
}

/// Stores a value where it outlives the call.
fn keep<T: 'static>(_value: KBox<T>) {}
