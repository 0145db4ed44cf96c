// SPDX-License-Identifier: GPL-2.0

//! A folio is not kept locked for longer than its file is known to live.

//~ ERROR E0521
//~ MESSAGE borrowed data escapes outside of function

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::cache::address_space::AddressSpace;

/// Locks a page and keeps it so.
pub fn lock(mapping: &AddressSpace) -> Result {
    keep(KBox::new(mapping.lock_folio(0), GFP_KERNEL)?);
    Ok(())
}

/// Somewhere that outlives the call.
fn keep<T: 'static>(_value: KBox<T>) {}
