// SPDX-License-Identifier: GPL-2.0

//! Data of a file must be `Sync`: many threads use it at once.

//~ ERROR E0277
//~ MESSAGE cannot be shared between threads safely

#[path = "common.rs"]
mod common;

use core::cell::Cell;
use kernel::prelude::*;
use kernel_mm::vm::{
    ops::VmOperations,
    vma::Plain, //
};

/// The driver's mappings.
struct Vm;

#[vtable]
impl VmOperations for Vm {
    type OwnerModule = common::Owner;
    type Data = (common::Memory, Cell<u32>);
    type Private = ();
    type Kind = Plain;
    type Atomic = common::Memory;

    fn atomic(data: &Self::Data) -> &Self::Atomic {
        &data.0
    }
}
