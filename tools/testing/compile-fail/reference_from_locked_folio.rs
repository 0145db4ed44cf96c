// SPDX-License-Identifier: GPL-2.0

//! A driver cannot get a plain reference from a locked folio, which it could use without regard to
//! the lock.

//~ ERROR E0614
//~ MESSAGE cannot be dereferenced

#[path = "common.rs"]
mod common;

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use kernel_mm::cache::{
    address_space::AddressSpace,
    folio::Folio, //
};

/// Takes a reference whose holder may copy the contents to userspace.
pub fn reference(mapping: &AddressSpace) -> Result<ARef<Folio>> {
    let folio = mapping.lock_folio(0).ok_or(ENOENT)?;
    Ok(ARef::from(&*folio))
}
