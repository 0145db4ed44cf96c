// SPDX-License-Identifier: GPL-2.0

//! The contents of a locked folio are not copied to userspace, whose buffer may be this very folio:
//! the page fault would wait for the lock.

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
