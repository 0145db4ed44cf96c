// SPDX-License-Identifier: GPL-2.0

//! Faults that map more than one page: the size of a folio that fits around a fault, and mapping
//! several folios at once.
//!
//! The core does the second for reads only, before it calls the handler (`do_fault_around()`). A
//! handler that has just added the pages that the program is about to write can do it for writes.
//!
//! C source: `do_fault_around()`, `finish_fault()` in [`mm/memory.c`](srctree/mm/memory.c),
//! `filemap_map_pages()` in [`mm/filemap.c`](srctree/mm/filemap.c)

use crate::{
    bindings,
    mm::{
        cache::insert::FolioRange,
        vm::{
            fault::{
                Answer,
                VmFault, //
            },
            ops::VmOperations,
            vma::Plain, //
        }, //
    },
    page::PAGE_SIZE, //
};
use core::ops::Range;

/// The number of pages that one page table of the lowest level maps.
const PAGES_PER_TABLE: usize = 1 << bindings::PMD_ORDER;

impl<'a, V: VmOperations> VmFault<'a, V> {
    /// Returns the pages of the file that the VMA maps, with the order of the largest folio that
    /// one fault can map as a whole: the folio must not cross the border of a page table, so
    /// address and offset must be aligned to each other (`finish_fault()`).
    ///
    /// EOF is not considered: see [`FolioRange::within`].
    pub fn folio_range(&self) -> FolioRange {
        let vma = self.vma();
        let first = vma.pgoff();
        let apart = (self.address() / PAGE_SIZE).wrapping_sub(self.pgoff());
        FolioRange::new(
            first..first.saturating_add(vma.pages()),
            apart.trailing_zeros().min(bindings::PMD_ORDER),
        )
    }

    /// Returns the pages of the file that lie both in the VMA and in the page table of the faulting
    /// address: [`VmFault::map_resident`] can map these.
    pub fn table(&self) -> Range<usize> {
        let vma = self.vma();
        let within_table = (self.address() / PAGE_SIZE) & (PAGES_PER_TABLE - 1);
        let within_vma = (self.address() - vma.start()) / PAGE_SIZE;
        let before = within_table.min(within_vma);
        let after = (PAGES_PER_TABLE - within_table).min(vma.pages() - within_vma);
        // The page that faulted is in the VMA, so that neither of these can overflow.
        self.pgoff() - before..self.pgoff() + after
    }
}

impl<'a, V: VmOperations<Kind = Plain>> VmFault<'a, V> {
    /// Maps those of `pages` (indexes within the file) that are in the page cache, unlocked and up
    /// to date, and answers the fault with them (`filemap_map_pages()`). Does not sleep.
    ///
    /// A write fault maps them writable. Pages outside of [`VmFault::table`] are left out.
    ///
    /// # Errors
    ///
    /// Returns the fault unchanged when the faulting page was not mapped, or when it is not allowed
    /// to map several pages at once: for a write to a private mapping, which copies its page; for a
    /// write that needs [`VmOperations::page_mkwrite`] first; under userfaultfd.
    pub fn map_resident(self, pages: Range<usize>) -> Result<Answer<'a>, Self> {
        let table = self.table();
        let first = pages.start.max(table.start);
        let end = pages.end.min(table.end);
        if first >= end || (self.is_write() && (!self.vma().is_shared() || V::HAS_PAGE_MKWRITE)) {
            return Err(self);
        }
        // SAFETY: The mmap lock or the VMA's lock is held until the fault is answered.
        if unsafe { bindings::uffd_disable_fault_around(self.vma().as_raw()) } {
            return Err(self);
        }
        // SAFETY: The fault is valid, and the window lies within the VMA and one page table. The
        // core has allocated a page table if there was none (`__do_fault()`). As was just checked,
        // a write goes to a shared mapping, which maps the folios themselves, and needs no
        // `page_mkwrite` first.
        let ret = unsafe { bindings::filemap_map_pages(self.as_raw(), first, end - 1) };
        if ret != 0 && self.is_write() {
            // As `fault_dirty_shared_page()` does for a page that the core maps.
            // SAFETY: The VMA is locked, and holds its file. An error, from a read-only mount, does
            // not concern the fault.
            let _ = unsafe { bindings::file_update_time((*self.vma().as_raw()).vm_file) };
        }
        match ret {
            // The faulting page is not mapped: the fault is still open.
            0 => Err(self),
            ret => Ok(Answer::from_raw(ret)),
        }
    }
}
