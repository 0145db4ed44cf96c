// SPDX-License-Identifier: GPL-2.0

//! The guard of a page fault's invalidate lock refers to the VMA, which may be freed after the
//! handler has returned.

//~ ERROR E0521
//~ MESSAGE borrowed data escapes outside of function

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::{
    cache::address_space::AddressSpace,
    vm::{
        fault::VmFault,
        ops::VmOperations, //
    }, //
};

/// Keeps the lock of a fault, for a file that is never released.
pub fn lock<V: VmOperations>(vmf: &VmFault<'_, V>, mapping: &'static AddressSpace) -> Result {
    keep(KBox::new(vmf.invalidate_lock_shared(mapping), GFP_KERNEL)?);
    Ok(())
}

/// Stores a value where it outlives the call.
fn keep<T: 'static>(_value: KBox<T>) {}
