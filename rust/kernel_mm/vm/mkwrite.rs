// SPDX-License-Identifier: GPL-2.0

//! First stores to pages mapped read-only: `vm_operations_struct.page_mkwrite` and `pfn_mkwrite`.
//!
//! C source: `do_page_mkwrite()`, `wp_pfn_shared()` in [`mm/memory.c`](srctree/mm/memory.c)

use crate::{
    bindings,
    mm::{
        cache::folio::{
            Folio,
            LockedFolio, //
        },
        vm::{
            fault::{
                Answer,
                VmFault, //
            },
            ops::VmOperations,
            vma::DriverVma, //
        }, //
    },
    sync::aref::ARef, //
};
use core::ptr::NonNull;

/// A write fault on a page that a shared mapping maps read-only.
///
/// # Invariants
///
/// As those of [`VmFault`]; the core holds a reference to `vmf->page`.
pub struct MkwriteFault<'a, V: VmOperations>(VmFault<'a, V>);

impl<'a, V: VmOperations> MkwriteFault<'a, V> {
    /// Wraps the argument of `page_mkwrite`.
    ///
    /// # Safety
    ///
    /// The type invariants hold; besides, as for [`VmFault::from_raw`].
    #[inline]
    pub(crate) unsafe fn from_raw(vmf: *mut bindings::vm_fault) -> Self {
        // SAFETY: By the contract of this function.
        Self(unsafe { VmFault::from_raw(vmf) })
    }

    /// Returns the index within the file of the page that is about to be written.
    #[inline]
    pub fn pgoff(&self) -> usize {
        self.0.pgoff()
    }

    /// Returns the VMA of the mapping.
    #[inline]
    pub fn vma(&self) -> &DriverVma<V> {
        self.0.vma()
    }

    /// Returns the data of the file that is mapped, for the life of the file.
    #[inline]
    pub fn data(&self) -> &'a V::Data {
        self.0.data()
    }

    /// Allows the store. The core locks the folio, and repeats the fault if the folio was
    /// truncated.
    #[inline]
    pub fn allow(self) -> Answer<'a> {
        Answer::from_raw(0)
    }

    /// Locks the folio, to read or change it before the store. Answers that the fault is to be
    /// repeated when the folio is no longer part of the file. May sleep.
    pub fn lock(self) -> core::result::Result<LockedMkwrite<'a>, Answer<'a>> {
        // SAFETY: By the type invariants the page is valid.
        let folio = unsafe { bindings::page_folio((*self.0.as_raw()).page) };
        // SAFETY: The core holds a reference while the handler runs, which nothing with 'a
        // outlives: the one that `wp_page_shared()` takes, or that of the handler's answer in
        // `do_shared_fault()` (mm/memory.c). Hence the folio is valid for 'a, and it is no
        // `NewFolio`, which only its owner knows.
        let folio: &'a Folio = unsafe { &*folio.cast() };
        let folio = LockedFolio::lock(folio);
        if folio.mapping() != self.0.mapping().as_raw() {
            drop(folio);
            return Err(self.0.nopage());
        }
        Ok(LockedMkwrite {
            folio,
            _fault: core::marker::PhantomData,
        })
    }

    /// Refuses the store: `SIGBUS`.
    #[inline]
    pub fn refuse(self) -> Answer<'a> {
        self.0.sigbus()
    }

    /// Answers that the access is to be retried (`VM_FAULT_NOPAGE`).
    #[inline]
    pub fn retry(self) -> Answer<'a> {
        self.0.nopage()
    }
}

/// A first store that waits for its answer with the folio locked.
pub struct LockedMkwrite<'a> {
    folio: LockedFolio<'a>,
    _fault: core::marker::PhantomData<fn(&'a ()) -> &'a ()>,
}

impl<'a> LockedMkwrite<'a> {
    /// Returns the folio that is about to be written.
    #[inline]
    pub fn folio(&self) -> &LockedFolio<'a> {
        &self.folio
    }

    /// Allows the store, and passes the lock to the core (`VM_FAULT_LOCKED`).
    pub fn allow(self) -> Answer<'a> {
        let folio = NonNull::new(self.folio.into_raw().cast::<Folio>());
        if let Some(folio) = folio {
            // The core gets the lock, but not the reference: it has one of its own.
            // SAFETY: `into_raw()` passed a reference to this function.
            drop(unsafe { ARef::from_raw(folio) });
        }
        Answer::from_raw(bindings::vm_fault_reason_VM_FAULT_LOCKED as bindings::vm_fault_t)
    }

    /// Refuses the store: `SIGBUS`.
    #[inline]
    pub fn refuse(self) -> Answer<'a> {
        Answer::from_raw(bindings::vm_fault_reason_VM_FAULT_SIGBUS as bindings::vm_fault_t)
    }
}

/// A write fault on a page frame that a shared mapping maps read-only.
///
/// # Invariants
///
/// As those of [`VmFault`].
pub struct PfnMkwriteFault<'a, V: VmOperations>(VmFault<'a, V>);

impl<'a, V: VmOperations> PfnMkwriteFault<'a, V> {
    /// Wraps the argument of `pfn_mkwrite`.
    ///
    /// # Safety
    ///
    /// As for [`VmFault::from_raw`].
    #[inline]
    pub(crate) unsafe fn from_raw(vmf: *mut bindings::vm_fault) -> Self {
        // SAFETY: By the contract of this function.
        Self(unsafe { VmFault::from_raw(vmf) })
    }

    /// Returns the index within the file of the page that is about to be written.
    #[inline]
    pub fn pgoff(&self) -> usize {
        self.0.pgoff()
    }

    /// Returns the data of the file that is mapped, for the life of the file.
    #[inline]
    pub fn data(&self) -> &'a V::Data {
        self.0.data()
    }

    /// Allows the store.
    #[inline]
    pub fn allow(self) -> Answer<'a> {
        Answer::from_raw(0)
    }

    /// Refuses the store: `SIGBUS`.
    #[inline]
    pub fn refuse(self) -> Answer<'a> {
        self.0.sigbus()
    }
}
