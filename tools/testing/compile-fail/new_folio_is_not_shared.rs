// SPDX-License-Identifier: GPL-2.0

//! A new folio has one owner: a driver cannot take a second reference, with which it could lock the
//! folio.

//~ ERROR E0614
//~ MESSAGE type `NewFolio` cannot be dereferenced

#[path = "common.rs"]
mod common;

use kernel::sync::aref::ARef;
use kernel_mm::cache::folio::{
    Folio,
    NewFolio, //
};

/// Takes a second reference, with which another thread could lock the folio while this one adds it
/// to a page cache.
pub fn share(new: &NewFolio) -> ARef<Folio> {
    ARef::from(&**new)
}
