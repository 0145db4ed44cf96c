// SPDX-License-Identifier: GPL-2.0

//! A folio that was just allocated has one owner: nothing gives a second reference, to lock it with.

//~ ERROR E0614
//~ MESSAGE type `NewFolio` cannot be dereferenced

#[path = "common.rs"]
mod common;

use kernel::sync::aref::ARef;
use kernel_mm::cache::folio::{
    Folio,
    NewFolio, //
};

/// Makes a second owner, who could lock the folio while the first one adds it to a page cache.
pub fn share(new: &NewFolio) -> ARef<Folio> {
    ARef::from(&**new)
}
