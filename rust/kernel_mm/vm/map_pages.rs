// SPDX-License-Identifier: GPL-2.0

//! Mapping pages that are already resident, without waiting: `vm_operations_struct.map_pages`.
//!
//! The core holds the RCU read lock, so nothing may sleep. The methods here do not, and show only
//! the part of the file's data that the driver provides for atomic context
//! ([`VmOperations::atomic`]). That part should not sleep either: counters, not mutexes.
//!
//! C source: `do_fault_around()` in [`mm/memory.c`](srctree/mm/memory.c), `filemap_map_pages()` in
//! [`mm/filemap.c`](srctree/mm/filemap.c)

use crate::{
    bindings,
    mm::vm::{
        fault::{
            Answer,
            VmFault, //
        },
        ops::VmOperations,
        vma::Plain, //
    }, //
};

/// A request to map resident pages before the core calls the fault handler.
///
/// # Invariants
///
/// As those of [`VmFault`]; `first` and `last` are what the core passed.
pub struct MapPages<'a, V: VmOperations> {
    fault: VmFault<'a, V>,
    first: usize,
    last: usize,
}

impl<'a, V: VmOperations> MapPages<'a, V> {
    /// Wraps the arguments of `map_pages`.
    ///
    /// # Safety
    ///
    /// As for [`VmFault::from_raw`]; `first` and `last` are what the core passed.
    pub(crate) unsafe fn from_raw(vmf: *mut bindings::vm_fault, first: usize, last: usize) -> Self {
        Self {
            // SAFETY: By the contract of this function.
            fault: unsafe { VmFault::from_raw(vmf) },
            first,
            last,
        }
    }

    /// Returns the first and the last page of the window, as indexes within the file.
    #[inline]
    pub fn window(&self) -> (usize, usize) {
        (self.first, self.last)
    }

    /// Returns the address that faulted, rounded down to its page.
    #[inline]
    pub fn address(&self) -> usize {
        self.fault.address()
    }

    /// Returns the data that the driver provides for atomic context.
    #[inline]
    pub fn atomic(&self) -> &'a V::Atomic {
        V::atomic(self.fault.data())
    }

    /// Maps nothing; the core calls the fault handler next.
    #[inline]
    pub fn nothing(self) -> Answer<'a> {
        Answer::from_raw(0)
    }
}

impl<'a, V: VmOperations<Kind = Plain>> MapPages<'a, V> {
    /// Maps those pages of the window that are in the page cache, unlocked and up to date
    /// (`filemap_map_pages()`).
    ///
    /// Maps nothing where the first of them belongs to a folio that reaches EOF and the page table
    /// is missing: `filemap_map_pages()` then leaves out `filemap_map_pmd()`, which installs it.
    pub fn map_resident(self) -> Answer<'a> {
        // SAFETY: By the type invariants the fault is valid, and the window is the one that
        // `do_fault_around()` passed: it lies within the VMA and one page table. In a `Plain` VMA
        // the core counts references to the pages.
        let ret =
            unsafe { bindings::filemap_map_pages(self.fault.as_raw(), self.first, self.last) };
        Answer::from_raw(ret)
    }
}
