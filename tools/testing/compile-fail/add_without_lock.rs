// SPDX-License-Identifier: GPL-2.0

//! A driver adds pages only while it holds off truncation.

//~ ERROR E0277
//~ MESSAGE the trait bound `AddressSpace: TruncateGuard<'_>` is not satisfied

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::cache::{
    address_space::AddressSpace,
    folio::NewFolio, //
};

/// Adds a page while truncation may run.
pub fn add(mapping: &AddressSpace, folio: NewFolio) -> Result {
    AddressSpace::add_folio(mapping, folio, 0).map_err(|failed| failed.error)?;
    Ok(())
}
