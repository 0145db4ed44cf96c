// SPDX-License-Identifier: GPL-2.0

//! Adding all pages that a range of a file lacks, or none of them: fallocate(2).
//!
//! shmem does not mark the folios that it adds up to date until they are used, so that a failure
//! can remove the unused ones. Here a folio that is not up to date stands for a lost one
//! ([`poison`](crate::mm::cache::poison)). So new folios are zeroed, and a failure removes those
//! that still hold zeroes only and have no other references: a hole in their place reads the same.
//!
//! C source: `shmem_fallocate()` in [`mm/shmem.c`](srctree/mm/shmem.c)

use super::{
    Charged,
    FolioRange,
    Quota, //
};
use crate::{
    mm::{
        cache::{
            address_space::{
                AddressSpace,
                TruncateGuard, //
            },
            folio::LockedFolio,
            inode::{
                InodeData,
                InodeGuard, //
            }, //
        },
        sched::{
            cond_resched,
            fatal_signal_pending, //
        }, //
    },
    prelude::*, //
};
use core::ops::Range;

/// A folio that was added up front.
pub(crate) struct Preallocated {
    /// The order.
    pub(crate) order: u32,
    /// The page after its last.
    pub(crate) end: usize,
    /// Whether a larger one would fit but was not available.
    pub(crate) fell_back: bool,
}

/// Pages that are being added to a file up front. Dropping it removes them, unless they are kept.
pub(crate) struct Preallocation<'g, 'm, D: InodeData> {
    guard: &'g InodeGuard<'m, D>,
    /// Pages that were added (indexes), in ascending order.
    added: KVec<Range<usize>>,
    /// Folios above order 0 that lie past EOF. Their locks keep the core from splitting them.
    past_eof: KVec<LockedFolio<'m>>,
}

impl<'g, 'm, D: InodeData> Preallocation<'g, 'm, D> {
    /// Returns an empty preallocation.
    pub(crate) fn new(guard: &'g InodeGuard<'m, D>) -> Self {
        Self {
            guard,
            added: KVec::new(),
            past_eof: KVec::new(),
        }
    }

    /// Adds folios for those of `pages` (indexes) that are missing. `room` returns the range that a
    /// folio may take, given the pages from the first missing one on; `added` is called for each
    /// folio. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOSPC` when `quota` is exhausted, `ENOMEM` when memory or the memory cgroup's limit is,
    /// `EINTR` when the process is being killed.
    pub(crate) fn fill<Q: Quota>(
        &mut self,
        pages: Range<usize>,
        quota: &Q,
        room: impl Fn(Range<usize>) -> FolioRange,
        added: impl Fn(Preallocated),
    ) -> Result {
        let mapping = self.guard.mapping();
        let eof = mapping.size_pages();
        let mut index = pages.start;
        loop {
            index = mapping.first_missing(index, pages.end.saturating_sub(index));
            if index >= pages.end {
                return Ok(());
            }
            if fatal_signal_pending() {
                return Err(EINTR);
            }
            // No folio may cross EOF.
            let part = if index < eof {
                pages.start..pages.end.min(eof)
            } else {
                pages.start.max(eof)..pages.end
            };
            let room = room(index..part.end).within(part);
            // Recording the folio must not fail once it is added.
            self.added.reserve(1, GFP_KERNEL)?;
            self.past_eof.reserve(1, GFP_KERNEL)?;
            match self.add(index, &room, quota) {
                Ok(new) => {
                    index = new.end;
                    added(new);
                }
                // A page fault of another thread was faster.
                Err(error) if error == EEXIST => {}
                Err(error) => return Err(error),
            }
            cond_resched();
        }
    }

    /// Adds the largest folio that holds page `index` and fits within `room`. Both vectors have
    /// capacity for one more element.
    fn add<Q: Quota>(
        &mut self,
        index: usize,
        room: &FolioRange,
        quota: &Q,
    ) -> Result<Preallocated> {
        let mapping = self.guard.mapping();
        let attempt = mapping.try_orders(index, room, |order| {
            let pages = 1 << order;
            let charged = Charged::new(quota, pages).map_err(|_| ENOSPC)?;
            let folio = AddressSpace::alloc_folio(self.guard, index, order).ok_or(ENOMEM)?;
            // SAFETY: The inode lock holds truncation off. If the folio is above order 0 and lies
            // past EOF, it stays locked until the size covers it (`keep()`) or it is removed
            // (`drop()`).
            let folio = unsafe { mapping.add_folio_at(folio, index & !(pages - 1)) };
            let folio = folio.map_err(|failed| failed.error)?;
            charged.keep();
            Ok(folio)
        })?;
        let (folio, order) = (attempt.got, attempt.order);
        let (start, end) = (index & !((1 << order) - 1), folio.end_of(index));
        match self.added.last_mut() {
            Some(last) if last.end == start => last.end = end,
            // There is capacity.
            _ => self.added.push(start..end, GFP_KERNEL)?,
        }
        if order > 0 && end > mapping.size_pages() {
            // There is capacity.
            self.past_eof.push(folio, GFP_KERNEL)?;
        }
        Ok(Preallocated {
            order,
            end,
            fell_back: attempt.fell_back,
        })
    }

    /// Keeps the pages, and grows the file to at least `size` bytes.
    pub(crate) fn keep(mut self, size: u64) {
        // The size must cover the folios before they are unlocked.
        self.guard.extend(size);
        self.added.clear();
        self.past_eof.clear();
    }

    /// Removes the added folios that still hold zeroes only and have no other references. May
    /// sleep.
    fn remove(&mut self) {
        let mapping = self.guard.mapping();
        let mut removed = 0;
        // These folios are not mapped, and no thread waits for them. They are unlocked first, since
        // folio locks come after the invalidate lock taken below.
        while let Some(folio) = self.past_eof.pop() {
            removed += folio.nr_pages();
            // SAFETY: The folio was added to this page cache; `report()` tells the driver.
            unsafe { folio.remove(mapping.as_raw()) };
        }
        // Excludes page faults, which could map the folios that are being removed or add them
        // again.
        let exclusive = mapping.invalidate_lock();
        for range in &self.added {
            let mut index = range.start;
            while index < range.end {
                let Some(folio) = mapping.lock_folio(index) else {
                    index += 1;
                    continue;
                };
                let end = folio.end_of(index);
                // Unmap with the folio locked: otherwise `filemap_map_pages()` might map it again.
                mapping.unmap(index, end - index);
                let is_sound = folio.is_uptodate() && !folio.has_hwpoisoned_page();
                if is_sound && !folio.is_in_use() && folio.is_zeroed() {
                    removed += folio.nr_pages();
                    // SAFETY: As above; the folio was found in this page cache, and is locked.
                    unsafe { folio.remove(mapping.as_raw()) };
                }
                index = end;
                cond_resched();
            }
        }
        drop(exclusive);
        self.guard.report(removed);
    }
}

impl<D: InodeData> Drop for Preallocation<'_, '_, D> {
    fn drop(&mut self) {
        if !self.added.is_empty() {
            self.remove();
        }
    }
}
