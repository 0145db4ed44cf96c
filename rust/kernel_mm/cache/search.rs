// SPDX-License-Identifier: GPL-2.0

//! Searches of a page cache for pages that it has, and for pages that it lacks.
//!
//! C source: `page_cache_next_miss()` and `page_cache_prev_miss()` in
//! [`mm/filemap.c`](srctree/mm/filemap.c), [`lib/xarray.c`](srctree/lib/xarray.c)

use crate::{
    bindings,
    mm::cache::address_space::AddressSpace,
    sync::rcu, //
};

impl AddressSpace {
    /// Returns the number of pages directly before page `index` that the cache holds without a gap,
    /// at most `max`. Does not sleep; other threads may add and remove pages meanwhile.
    ///
    /// These pages are the history of a sequential access, so no other record is needed: readahead
    /// looks for the same traces (`page_cache_sync_ra()` in mm/readahead.c). The walk takes one
    /// step per large folio.
    pub fn resident_before(&self, index: usize, max: usize) -> usize {
        /// The number of single pages to walk before checking again for a large folio.
        const STEP: usize = 64;

        let max = max.min(index);
        let mut count = 0;
        while count < max {
            let last = index - count - 1;
            let Some(order) = self.order_at(last) else {
                break;
            };
            if order > 0 {
                count = index - (last & !((1 << order) - 1));
                continue;
            }
            let step = STEP.min(max - count);
            let _rcu = rcu::read_lock();
            // `page_cache_prev_miss()` must not start in the middle of a large folio: `xas_load()`
            // moves to the first slot of the folio's entry, so that the next step would leave the
            // folio after one page. Of folios that the walk reaches later it counts every page.
            //
            // SAFETY: The page cache is valid; the RCU read lock keeps the nodes that are walked.
            let gap = unsafe { bindings::page_cache_prev_miss(self.as_raw(), last, step) };
            // Without a gap the function returns the page before those that it walked, which may be
            // `usize::MAX`.
            let found = last.wrapping_sub(gap).min(step);
            count += found;
            if found < step {
                break;
            }
        }
        count.min(max)
    }

    /// Returns the order of the folio that holds page `index`, or `None` when no folio does. Does
    /// not sleep; the folio may be removed or split meanwhile.
    pub(crate) fn order_at(&self, index: usize) -> Option<u32> {
        // SAFETY: The page cache is valid; the function takes the RCU read lock itself, and the
        // entry is not dereferenced.
        let entry = unsafe { bindings::xa_load(&raw mut (*self.as_raw()).i_pages, index) };
        // A value entry is the shadow of an evicted page (`xa_is_value()`).
        if entry.is_null() || entry.addr() & 1 != 0 {
            return None;
        }
        // SAFETY: The page cache is valid; the function takes the RCU read lock itself.
        let order = unsafe { bindings::xa_get_order(&raw mut (*self.as_raw()).i_pages, index) };
        Some(order as u32)
    }

    /// Returns the first of `count` pages from page `index` on that the cache lacks, or the page
    /// after them when it holds all. Does not sleep; other threads may add and remove pages
    /// meanwhile.
    pub fn first_missing(&self, index: usize, count: usize) -> usize {
        let end = index.saturating_add(count);
        // Started in the middle of a large folio, `page_cache_next_miss()` reports pages past the
        // folio as present: `xas_load()` moves to the first slot of the folio's entry, and
        // `__xas_next()` counts slots from there (lib/xarray.c). So the walk begins after the
        // folio.
        let from = match self.order_at(index) {
            Some(order) => (index | ((1 << order) - 1)).saturating_add(1),
            None => return index,
        };
        if from >= end {
            return end;
        }
        let _rcu = rcu::read_lock();
        // SAFETY: The page cache is valid; the RCU read lock keeps the nodes that are walked.
        let found = unsafe { bindings::page_cache_next_miss(self.as_raw(), from, end - from) };
        // The function wraps around to 0 past the largest index.
        if found < from {
            end
        } else {
            found.min(end)
        }
    }

    /// Returns the first resident page from page `index` on, or `end` when none before `end` is
    /// resident. Does not sleep; other threads may add and remove pages meanwhile.
    pub fn first_page(&self, index: usize, end: usize) -> usize {
        let mut at = index;
        if index >= end {
            return end;
        }
        // SAFETY: The page cache is valid; the function takes the RCU read lock itself, and the
        // entry that it returns is only compared with null.
        let found = unsafe {
            bindings::xa_find(
                &raw mut (*self.as_raw()).i_pages,
                &mut at,
                end - 1,
                bindings::XA_PRESENT,
            )
        };
        if found.is_null() {
            end
        } else {
            at
        }
    }
}
