// SPDX-License-Identifier: GPL-2.0

//! A driver cannot keep a folio locked for longer than the file lives.

//~ ERROR E0521
//~ MESSAGE borrowed data escapes outside of function

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::cache::address_space::AddressSpace;

/// Locks a page and keeps it locked.
pub fn lock(mapping: &AddressSpace) -> Result {
    keep(KBox::new(mapping.lock_folio(0), GFP_KERNEL)?);
    Ok(())
}

/// Stores a value where it outlives the call.
fn keep<T: 'static>(_value: KBox<T>) {}
