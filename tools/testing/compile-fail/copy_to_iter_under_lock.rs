// SPDX-License-Identifier: GPL-2.0

//! A driver cannot copy from a locked folio to userspace: the buffer may be a mapping of this
//! folio, and the page fault would wait for the lock.

//~ ERROR E0599
//~ MESSAGE no method named `copy_to_iter` found

#[path = "common.rs"]
mod common;

use kernel::{
    iov::IovIterDest,
    prelude::*, //
};
use kernel_mm::cache::address_space::AddressSpace;

/// Reads a page with its lock held.
pub fn read(mapping: &AddressSpace, iov: &mut IovIterDest<'_>) -> Result<usize> {
    let folio = mapping.lock_folio(0).ok_or(ENOENT)?;
    Ok(folio.copy_to_iter(0, 4096, iov))
}
