// SPDX-License-Identifier: GPL-2.0

//! First stores: `vm_operations_struct.page_mkwrite` and `pfn_mkwrite`.
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

/// A page of a shared mapping that was read-only so far is about to be written.
///
/// # Invariants
///
/// As those of [`VmFault`]; `vmf->page` is a page that the core holds a reference to.
pub struct MkwriteFault<'a, V: VmOperations>(VmFault<'a, V>);

impl<'a, V: VmOperations> MkwriteFault<'a, V> {
    /// Wraps the argument of `page_mkwrite`.
    ///
    /// # Safety
    ///
    /// As the type invariants say, and as for [`VmFault::from_raw`].
    pub(crate) unsafe fn from_raw(vmf: *mut bindings::vm_fault) -> Self {
        // SAFETY: By the contract of this function.
        Self(unsafe { VmFault::from_raw(vmf) })
    }

    /// Returns the page of the file that is about to be written (its index, in pages).
    pub fn pgoff(&self) -> usize {
        self.0.pgoff()
    }

    /// Returns the VMA that it is written through.
    pub fn vma(&self) -> &DriverVma<V> {
        self.0.vma()
    }

    /// Returns the data of the file that is mapped, for the life of the file.
    pub fn data(&self) -> &'a V::Data {
        self.0.data()
    }

    /// Lets the store happen. The core locks the folio, and repeats the fault if it was truncated.
    pub fn allow(self) -> Answer<'a> {
        Answer::from_raw(0)
    }

    /// Locks the folio, to look at or change it before the store; or answers that the fault is to
    /// be repeated, when the folio is no longer part of the file. May sleep.
    pub fn lock(self) -> core::result::Result<LockedMkwrite<'a>, Answer<'a>> {
        // SAFETY: By the type invariants the page is valid.
        let folio = unsafe { bindings::page_folio((*self.0.as_raw()).page) };
        // SAFETY: The core holds a reference until this fault is answered (`folio_get()` before
        // `do_page_mkwrite()` in mm/memory.c), which no answer outlives. Hence the folio is valid
        // for 'a, and nobody else's before its lock is in use: it is mapped.
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
    pub fn refuse(self) -> Answer<'a> {
        self.0.sigbus()
    }

    /// Has the access tried again, as if nothing had happened.
    pub fn retry(self) -> Answer<'a> {
        self.0.nopage()
    }
}

/// A store that waits for its answer with the folio locked.
pub struct LockedMkwrite<'a> {
    folio: LockedFolio<'a>,
    _fault: core::marker::PhantomData<fn(&'a ()) -> &'a ()>,
}

impl<'a> LockedMkwrite<'a> {
    /// Returns the folio that is about to be written.
    pub fn folio(&self) -> &LockedFolio<'a> {
        &self.folio
    }

    /// Lets the store happen; the lock goes to the core with the answer (`VM_FAULT_LOCKED`).
    pub fn allow(self) -> Answer<'a> {
        let folio = NonNull::new(self.folio.into_raw().cast::<Folio>());
        if let Some(folio) = folio {
            // The lock goes to the core, the reference does not: it has one of its own.
            // SAFETY: `into_raw()` handed a reference over.
            drop(unsafe { ARef::from_raw(folio) });
        }
        Answer::from_raw(bindings::vm_fault_reason_VM_FAULT_LOCKED as bindings::vm_fault_t)
    }

    /// Refuses the store: `SIGBUS`.
    pub fn refuse(self) -> Answer<'a> {
        Answer::from_raw(bindings::vm_fault_reason_VM_FAULT_SIGBUS as bindings::vm_fault_t)
    }
}

/// A page frame of a shared mapping that was read-only so far is about to be written.
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
    pub(crate) unsafe fn from_raw(vmf: *mut bindings::vm_fault) -> Self {
        // SAFETY: By the contract of this function.
        Self(unsafe { VmFault::from_raw(vmf) })
    }

    /// Returns the page of the file that is about to be written (its index, in pages).
    pub fn pgoff(&self) -> usize {
        self.0.pgoff()
    }

    /// Returns the data of the file that is mapped, for the life of the file.
    pub fn data(&self) -> &'a V::Data {
        self.0.data()
    }

    /// Lets the store happen.
    pub fn allow(self) -> Answer<'a> {
        Answer::from_raw(0)
    }

    /// Refuses the store: `SIGBUS`.
    pub fn refuse(self) -> Answer<'a> {
        self.0.sigbus()
    }
}
