// SPDX-License-Identifier: GPL-2.0

//! Giving a page cache the pages that it lacks: in folios as large as there is room for, or one
//! page after the other.
//!
//! C source: `__filemap_get_folio()` in [`mm/filemap.c`](srctree/mm/filemap.c), which also falls
//! back from order to order, `shmem_alloc_and_add_folio()` in [`mm/shmem.c`](srctree/mm/shmem.c),
//! which also looks for pages in the way before it allocates.

use crate::{
    ffi,
    folio::LockedFolio,
    page_cache::{
        AddressSpace,
        TruncationHeldOff, //
    }, //
};
use core::ops::Range;
use kernel::{
    bindings,
    prelude::*,
    sync::rcu, //
};

/// What limits the number of pages that a driver's files may have.
pub trait Quota {
    /// Takes `pages` off what is left. Must not sleep.
    ///
    /// # Errors
    ///
    /// When so many are not left. A larger folio is then tried as a smaller one.
    fn charge(&self, pages: usize) -> Result;

    /// Gives back what [`Quota::charge`] took for pages that were not added.
    fn uncharge(&self, pages: usize);
}

/// No limit but the memory there is.
pub struct Unlimited;

impl Quota for Unlimited {
    fn charge(&self, _pages: usize) -> Result {
        Ok(())
    }

    fn uncharge(&self, _pages: usize) {}
}

/// What a new folio may cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pages: Range<usize>,
    order: u32,
    /// The largest order that is tried.
    first: u32,
}

impl Room {
    /// Room for folios of order 0 to `order` within `pages` of the file (indexes).
    pub fn new(pages: Range<usize>, order: u32) -> Self {
        Self {
            pages,
            order,
            first: u32::MAX,
        }
    }

    /// Room for page `index` alone.
    pub fn page(index: usize) -> Self {
        Self::new(index..index.saturating_add(1), 0)
    }

    /// Returns the pages of the file (indexes).
    pub fn pages(&self) -> Range<usize> {
        self.pages.clone()
    }

    /// Returns the largest order.
    pub fn order(&self) -> u32 {
        self.order
    }

    /// Leaves only what lies within `pages` as well.
    pub fn within(self, pages: Range<usize>) -> Self {
        let start = self.pages.start.max(pages.start);
        let end = self.pages.end.min(pages.end);
        Self {
            pages: start..end,
            ..self
        }
    }

    /// Leaves only orders up to `order`.
    pub fn up_to(self, order: u32) -> Self {
        Self {
            order: self.order.min(order),
            ..self
        }
    }

    /// Tries no order above `order` though there may be room: such folios cannot be had anyway.
    pub fn trying(self, order: u32) -> Self {
        Self {
            first: order,
            ..self
        }
    }

    /// Returns the first page of the folio of 2^`order` pages that holds page `index`, if there is
    /// room for it. Folios lie at multiples of their size.
    fn first_of(&self, index: usize, order: u32) -> Option<usize> {
        let pages = 1usize.checked_shl(order)?;
        let first = index & !(pages - 1);
        let end = first.checked_add(pages)?;
        (self.pages.start <= first && end <= self.pages.end).then_some(first)
    }
}

/// A folio of a page cache, and how it got there.
pub enum Found {
    /// It was there.
    Cached(LockedFolio),
    /// It was added just now, zeroed.
    Added {
        /// The folio.
        folio: LockedFolio,
        /// Whether a larger one had room, but could not be had, or was not tried.
        fell_back: bool,
    },
}

impl Found {
    /// Returns the folio, however it got there.
    pub fn into_folio(self) -> LockedFolio {
        match self {
            Self::Cached(folio) | Self::Added { folio, .. } => folio,
        }
    }
}

impl AddressSpace {
    /// Finds and locks the folio that holds page `index`, or adds the largest zeroed one that
    /// `room` and the pages that are there already leave room for.
    ///
    /// A folio of order 0 is added even where `room` has none. Folios above order 0 are taken if
    /// the allocator has them at hand; it neither reclaims nor compacts for them. `quota` is
    /// charged with the pages that are added. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the memory or the memory cgroup's limit is exhausted, or what `quota` says,
    /// even for a single page.
    pub fn find_or_add<G: TruncationHeldOff, Q: Quota>(
        held: &G,
        index: usize,
        room: &Room,
        quota: &Q,
    ) -> Result<Found> {
        loop {
            if let Some(folio) = held.mapping().lock_folio(index) {
                return Ok(Found::Cached(folio));
            }
            match Self::add_largest(held, index, room, quota) {
                // Somebody else was faster.
                Err(e) if e == EEXIST => {}
                added => return added,
            }
        }
    }

    /// Adds what [`AddressSpace::find_or_add`] adds where page `index` is not there yet. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` when the page is there by now, otherwise as [`AddressSpace::find_or_add`].
    pub fn add_largest<G: TruncationHeldOff, Q: Quota>(
        held: &G,
        index: usize,
        room: &Room,
        quota: &Q,
    ) -> Result<Found> {
        let wanted = held.mapping().vacant_order(index, room);
        let mut order = wanted.min(room.first);
        loop {
            match Self::add_one(held, index, order, quota) {
                Ok(folio) => {
                    return Ok(Found::Added {
                        folio,
                        fell_back: order < wanted,
                    });
                }
                Err(error) if order == 0 => return Err(error),
                // No memory, no quota, or a page that got in the way: all may fit a smaller one.
                Err(_) => order -= 1,
            }
        }
    }

    /// Adds a zeroed folio of order 0 to each of `pages` (indexes) that has none, and returns how
    /// many were added. They are unlocked. May sleep.
    ///
    /// It ends early where a page cannot be had; whoever needs that one asks for it and is told
    /// why.
    pub fn fill<G: TruncationHeldOff, Q: Quota>(held: &G, pages: Range<usize>, quota: &Q) -> usize {
        let mut added = 0;
        for index in pages {
            match Self::add_one(held, index, 0, quota) {
                Ok(_unlocked) => added += 1,
                Err(e) if e == EEXIST => {}
                Err(_) => break,
            }
        }
        added
    }

    /// Returns the first of `count` pages from page `index` on that is not there, or the page
    /// behind them when all are. Does not sleep; others may add and remove pages meanwhile.
    pub fn first_missing(&self, index: usize, count: usize) -> usize {
        let behind = index.saturating_add(count);
        let _rcu = rcu::read_lock();
        // SAFETY: The page cache is valid; the RCU read lock keeps the nodes that are walked.
        let found = unsafe { bindings::page_cache_next_miss(self.as_raw(), index, behind - index) };
        // It wraps around to 0 behind the last page that there can be.
        if found < index {
            behind
        } else {
            found.min(behind)
        }
    }

    /// Adds a zeroed folio of 2^`order` pages that holds page `index`.
    fn add_one<G: TruncationHeldOff, Q: Quota>(
        held: &G,
        index: usize,
        order: u32,
        quota: &Q,
    ) -> Result<LockedFolio> {
        let pages = 1 << order;
        quota.charge(pages)?;
        let folio = held.mapping().alloc_folio(order).ok_or(ENOMEM);
        let added = folio.and_then(|folio| {
            Self::add_folio(held, folio, index & !(pages - 1)).map_err(|failed| failed.error)
        });
        if added.is_err() {
            quota.uncharge(pages);
        }
        added
    }

    /// Returns the order of the largest folio that has room around page `index`.
    ///
    /// It is a guess, since others may add pages meanwhile, made before a folio is allocated and
    /// zeroed in vain.
    fn vacant_order(&self, index: usize, room: &Room) -> u32 {
        // One more than is tried suffices to tell whether there is more room than that.
        let most = room.order.min(room.first.saturating_add(1));
        let mut order = most.min(self.max_order());
        while order > 0 {
            match room.first_of(index, order) {
                Some(first) if !self.has_page(first, 1 << order) => break,
                _ => order -= 1,
            }
        }
        order
    }

    /// Tells whether any of `count` pages from page `first` on is there. Does not sleep.
    fn has_page(&self, first: usize, count: usize) -> bool {
        let mut index = first;
        // SAFETY: The page cache is valid; the function takes the RCU read lock itself and hands
        // out nothing but the address of what it found, which is only compared.
        let found = unsafe {
            bindings::xa_find(
                &raw mut (*self.as_raw()).i_pages,
                &mut index,
                first + count - 1,
                ffi::XA_PRESENT,
            )
        };
        !found.is_null()
    }
}
