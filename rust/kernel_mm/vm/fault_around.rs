// SPDX-License-Identifier: GPL-2.0

//! Faults that map more than one page: the room that a folio has around a fault, and the mapping
//! of several folios at once.
//!
//! The core does the second for reads only, before it asks the handler (`do_fault_around()`). A
//! handler that has just added the pages that are going to be stored to next can do it for them.
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

/// Pages that one page table of the lowest level maps.
const PAGES_PER_TABLE: usize = 1 << bindings::PMD_ORDER;

impl<'a, V: VmOperations> VmFault<'a, V> {
    /// Returns the pages of the file that the VMA shows, with the order of the largest folio that
    /// one fault can map as a whole: it must not cross the border of a page table, so that address
    /// and offset must be aligned to each other (`finish_fault()`).
    ///
    /// The end of the file is not considered: see [`FolioRange::within`].
    pub fn folio_range(&self) -> FolioRange {
        let vma = self.vma();
        let first = vma.pgoff();
        let apart = (self.address() / PAGE_SIZE).wrapping_sub(self.pgoff());
        FolioRange::new(
            first..first.saturating_add(vma.pages()),
            apart.trailing_zeros().min(bindings::PMD_ORDER),
        )
    }

    /// Returns those pages of the file that the VMA shows and that the page table of the faulting
    /// address maps: what [`VmFault::map_resident`] can map.
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
    /// Maps those of `pages` (indexes within the file) that the page cache holds, are unlocked and
    /// up to date, and answers the fault with them (`filemap_map_pages()`). Does not sleep.
    ///
    /// Those that were faulted on by a write are mapped writable. Pages outside of
    /// [`VmFault::table`] are left out.
    ///
    /// # Errors
    ///
    /// Gives the fault back where the page that faulted was not mapped, or where several pages
    /// cannot be mapped at once: for a write to a private mapping, whose pages are copied; for a
    /// write where [`VmOperations::page_mkwrite`] wants to be asked first; under userfaultfd.
    pub fn map_resident(self, pages: Range<usize>) -> Result<Answer<'a>, Self> {
        let table = self.table();
        let first = pages.start.max(table.start);
        let end = pages.end.min(table.end);
        if first >= end || (self.is_write() && (!self.vma().is_shared() || V::HAS_PAGE_MKWRITE)) {
            return Err(self);
        }
        // SAFETY: A lock that allows to read the VMA is held while the fault is open.
        if unsafe { bindings::uffd_disable_fault_around(self.vma().as_raw()) } {
            return Err(self);
        }
        // SAFETY: The fault is valid and the window within the VMA and one page table. The core has
        // allocated a page table if there was none (`__do_fault()`). The folios of a shared mapping
        // are mapped themselves, and nobody wants to be asked before they are written.
        let ret = unsafe { bindings::filemap_map_pages(self.as_raw(), first, end - 1) };
        if ret != 0 && self.is_write() {
            // As `fault_dirty_shared_page()` does for a page that the core maps.
            // SAFETY: The VMA's lock is held, and a VMA of a file holds it. An error is that of a
            // mount for reading only, and none of the fault's.
            let _ = unsafe { bindings::file_update_time((*self.vma().as_raw()).vm_file) };
        }
        match ret {
            // The page tables are as they were, as far as this fault goes: it is still open.
            0 => Err(self),
            ret => Ok(Answer::from_raw(ret)),
        }
    }
}
