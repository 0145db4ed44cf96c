// SPDX-License-Identifier: GPL-2.0

//! Pages of zeroes to copy from.

use crate::{
    bindings,
    mm::cache::folio::{
        Folio,
        NewFolio, //
    },
    prelude::*,
    sync::aref::ARef, //
};
use core::mem::ManuallyDrop;

/// A page of zeroes in no page cache, the source of copies when a private mapping is written.
///
/// # Invariants
///
/// The folio has order 0 and is in no page cache. It is neither mapped nor written: this type
/// passes it to the core only, as the source of a copy.
#[derive(Clone)]
pub struct ZeroPage(ARef<Folio>);

impl ZeroPage {
    /// Allocates a page of zeroes. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    #[inline]
    pub fn new() -> Result<Self> {
        let folio = NewFolio::alloc(bindings::GFP_KERNEL, 0).ok_or(ENOMEM)?;
        // INVARIANT: A new folio is in no page cache, and no other code can see it.
        Ok(Self(folio.into_ref()))
    }

    /// Passes a reference to the page to the caller.
    #[inline]
    pub(crate) fn into_page(self) -> *mut bindings::page {
        let folio = ManuallyDrop::new(self.0);
        // SAFETY: A reference is held; every folio has a first page.
        unsafe { bindings::folio_page0(folio.as_raw()) }
    }
}
