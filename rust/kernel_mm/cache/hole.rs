// SPDX-License-Identifier: GPL-2.0

//! Holes: pages that are freed in the middle of a file.
//!
//! C source: [`mm/truncate.c`](srctree/mm/truncate.c)

use crate::{
    bindings,
    mm::cache::{
        folio::LockedFolio,
        inode::{
            InodeData,
            InodeGuard, //
        },
        seals, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};
use core::ops::Range;

impl<D: InodeData> InodeGuard<'_, D> {
    /// Frees the whole pages of a range (bytes), and zeroes its other bytes: those of pages that it
    /// covers in part, and of a large folio across its start or end that cannot be split.
    ///
    /// The next access through a mapping finds zeroes. May sleep. Returns the number of pages that
    /// were freed.
    ///
    /// `truncate_inode_pages_range()` frees every folio that begins in the range. It splits those
    /// at the edges, but ignores that the second split fails, and a first one that fails after some
    /// steps leaves a folio that begins before the range and is freed as well
    /// (`truncate_inode_partial_folio()`). A split fails without memory, and when others refer to
    /// the folio or have locked it. So the edges are split here, and the core frees a range that no
    /// folio crosses.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an empty or overflowing range; `EPERM` when a seal forbids changes of the
    /// contents.
    pub fn punch_hole(&self, offset: u64, len: u64) -> Result<usize> {
        self.check_seals(seals::WRITE | seals::FUTURE_WRITE)?;
        let end = offset.checked_add(len).ok_or(EINVAL)?;
        // Both fit into an offset of C.
        bindings::loff_t::try_from(end).map_err(|_| EINVAL)?;
        if len == 0 {
            return Err(EINVAL);
        }
        let exclusive = self.inode.mapping().invalidate_lock();
        let removed = exclusive.count_removed(|| {
            let pages = self.pages_to_free(offset, end);
            if pages.is_empty() {
                return self.zero(offset, end);
            }
            self.zero(offset, pages.start);
            let (first, last) = (
                pages.start as bindings::loff_t,
                pages.end as bindings::loff_t,
            );
            // SAFETY: The inode is locked, and no page can be added while the invalidate lock is
            // held. The function unmaps the pages before it frees them.
            unsafe { bindings::truncate_pagecache_range(self.inode.as_raw(), first, last - 1) };
            self.zero(pages.end, end);
        });
        drop(exclusive);
        self.report(removed);
        D::punched(self.inode, offset, len, removed);
        Ok(removed)
    }

    /// Returns the whole pages of a hole (bytes) that can be freed: no folio crosses either end of
    /// the result.
    fn pages_to_free(&self, start: u64, end: u64) -> Range<u64> {
        let mut pages = start.next_multiple_of(PAGE_SIZE as u64)..end - end % PAGE_SIZE as u64;
        if pages.is_empty() {
            return pages;
        }
        if !self.split_at(pages.end as bindings::loff_t) {
            pages.end = self
                .folio_at(pages.end)
                .map_or(pages.end, |(_, folio)| folio.start);
        }
        if !self.split_at(pages.start as bindings::loff_t) {
            pages.start = self
                .folio_at(pages.start)
                .map_or(pages.start, |(_, folio)| folio.end);
        }
        pages
    }

    /// Finds and locks the folio that holds the byte at `offset`. Returns it with the bytes that it
    /// holds.
    fn folio_at(&self, offset: u64) -> Option<(LockedFolio<'_>, Range<u64>)> {
        let folio = self
            .inode
            .mapping()
            .lock_folio(offset as usize / PAGE_SIZE)?;
        let size = folio.size() as u64;
        // Folios are naturally aligned.
        let begin = offset - offset % size;
        Some((folio, begin..begin + size))
    }

    /// Zeroes the bytes of a range in the pages that there are.
    fn zero(&self, mut start: u64, end: u64) {
        while start < end {
            let Some((mut folio, bytes)) = self.folio_at(start) else {
                start = (start + 1).next_multiple_of(PAGE_SIZE as u64);
                continue;
            };
            let stop = end.min(bytes.end);
            folio.zero(
                (start - bytes.start) as usize,
                (stop - bytes.start) as usize,
            );
            start = stop;
        }
    }
}
