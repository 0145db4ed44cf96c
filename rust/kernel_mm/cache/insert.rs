// SPDX-License-Identifier: GPL-2.0

//! Adding the pages that a page cache lacks: in folios as large as fit, or page by page.
//!
//! C source: `__filemap_get_folio()` in [`mm/filemap.c`](srctree/mm/filemap.c), which also falls
//! back from order to order, and `shmem_alloc_and_add_folio()` in
//! [`mm/shmem.c`](srctree/mm/shmem.c), which also looks for pages in the way before it allocates.

pub(crate) mod preallocate;
mod range;

pub use self::range::FolioRange;

use crate::{
    bindings,
    iov::IovIterSource,
    mm::{
        cache::{
            address_space::{
                AddressSpace,
                TruncateGuard, //
            },
            folio::{
                LockedFolio,
                NewFolio, //
            },
            inode::{
                InodeData,
                InodeGuard, //
            }, //
        },
        sched::fatal_signal_pending, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};
use core::ops::Range;

/// A limit on the number of pages of a driver's files.
///
/// # Examples
///
/// A limit that all files of a driver share:
///
/// ```
/// use kernel::{
///     mm::cache::insert::Quota,
///     sync::atomic::{
///         Atomic,
///         Relaxed, //
///     }, //
/// };
///
/// /// The number of pages left.
/// struct Left(Atomic<usize>);
///
/// impl Quota for Left {
///     fn charge(&self, pages: usize) -> bool {
///         let mut left = self.0.load(Relaxed);
///         while left >= pages {
///             match self.0.cmpxchg(left, left - pages, Relaxed) {
///                 Ok(_) => return true,
///                 Err(now) => left = now,
///             }
///         }
///         false
///     }
///
///     fn uncharge(&self, pages: usize) {
///         self.0.fetch_add(pages, Relaxed);
///     }
/// }
///
/// let left = Left(Atomic::new(2));
/// assert!(left.charge(2));
/// assert!(!left.charge(1));
/// left.uncharge(2);
/// assert!(left.charge(1));
/// ```
pub trait Quota {
    /// Charges `pages`, or returns `false` when fewer are left. The caller then tries a smaller
    /// folio; when not even one page is left, a fault or a write gets `ENOMEM` and fallocate(2)
    /// `ENOSPC`. Must not sleep.
    #[must_use]
    fn charge(&self, pages: usize) -> bool;

    /// Uncharges pages that [`Quota::charge`] charged and that were not added.
    fn uncharge(&self, pages: usize);

    /// Returns the largest number of pages that it can ever grant; larger requests fail early.
    fn limit(&self) -> usize {
        usize::MAX
    }
}

/// A quota without a limit of its own.
pub struct Unlimited;

impl Quota for Unlimited {
    fn charge(&self, _pages: usize) -> bool {
        true
    }

    fn uncharge(&self, _pages: usize) {}
}

/// A folio of a page cache, with whether it was added just now.
pub enum Found<'a> {
    /// The page cache already held it.
    Cached(LockedFolio<'a>),
    /// It was added just now, zeroed.
    Added {
        /// The folio.
        folio: LockedFolio<'a>,
        /// Whether a larger one would fit, but its allocation failed or was not tried.
        fell_back: bool,
    },
}

impl<'a> Found<'a> {
    /// Returns the folio in either case.
    pub fn into_folio(self) -> LockedFolio<'a> {
        match self {
            Self::Cached(folio) | Self::Added { folio, .. } => folio,
        }
    }
}

/// Pages charged to a quota. Dropping it uncharges them, unless they were added.
struct Charged<'a, Q: Quota> {
    quota: &'a Q,
    pages: usize,
}

impl<'a, Q: Quota> Charged<'a, Q> {
    fn new(quota: &'a Q, pages: usize) -> Result<Self> {
        if !quota.charge(pages) {
            return Err(ENOMEM);
        }
        Ok(Self { quota, pages })
    }

    /// Keeps the charge: the pages were added, and are uncharged when they leave the page cache.
    fn keep(self) {
        core::mem::forget(self);
    }
}

impl<Q: Quota> Drop for Charged<'_, Q> {
    fn drop(&mut self) {
        self.quota.uncharge(self.pages);
    }
}

/// A folio that was added by one of several attempts.
struct Attempt<T> {
    got: T,
    order: u32,
    fell_back: bool,
}

/// The reason why an attempt to add a folio failed.
enum Refused {
    /// Memory or quota is exhausted, or a page is in the way: a smaller folio may fit.
    ThisOrder(Error),
    /// A smaller folio would fail as well.
    AnyOrder(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::ThisOrder(error)
    }
}

/// A folio that was filled from the source of a write, and added.
pub(crate) struct Written {
    /// The number of bytes that were copied.
    pub(crate) copied: usize,
    /// The order of the folio.
    pub(crate) order: u32,
    /// As in [`Found::Added`].
    pub(crate) fell_back: bool,
}

impl AddressSpace {
    /// Finds and locks the folio that holds page `index`, or adds the largest zeroed one that fits
    /// between resident pages, within `room` and before EOF.
    ///
    /// A folio of order 0 is added even outside `room`. For folios above order 0 the allocator
    /// neither reclaims nor compacts. Charges `quota` with the pages that are added. May sleep.
    ///
    /// # Errors
    ///
    /// `ENXIO` when the page lies past EOF. `ENOMEM` when the quota, the memory or the memory
    /// cgroup's limit is exhausted, even for a single page. `EINTR` when the process is being
    /// killed.
    pub fn find_or_add<'m, G: TruncateGuard<'m>, Q: Quota>(
        held: &G,
        index: usize,
        room: &FolioRange,
        quota: &Q,
    ) -> Result<Found<'m>> {
        let mapping = held.mapping();
        loop {
            if let Some(folio) = mapping.lock_folio(index) {
                return Ok(Found::Cached(folio));
            }
            match Self::add_largest(held, index, room, quota) {
                // Another thread was faster.
                Err(error) if error == EEXIST => {}
                added => return added,
            }
            if fatal_signal_pending() {
                return Err(EINTR);
            }
        }
    }

    /// Adds a folio as [`AddressSpace::find_or_add`] does, where no folio holds page `index` yet.
    /// May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` when another thread has added the page, otherwise as [`AddressSpace::find_or_add`].
    pub fn add_largest<'m, G: TruncateGuard<'m>, Q: Quota>(
        held: &G,
        index: usize,
        room: &FolioRange,
        quota: &Q,
    ) -> Result<Found<'m>> {
        let mapping = held.mapping();
        let end = mapping.size_pages();
        if index >= end {
            return Err(ENXIO);
        }
        // SAFETY: `end` was read above, with `held` held.
        let add = |order| unsafe { Self::add_one(held, index, order, end, quota) };
        let (folio, fell_back) = if room.max_order == 0 {
            let added = add(0).map_err(|error| mapping.reason(index, error));
            (added?, false)
        } else {
            let room = room.clone().within(0..end);
            let added = mapping.try_orders(index, &room, |order| Ok(add(order)?))?;
            (added.got, added.fell_back)
        };
        Ok(Found::Added { folio, fell_back })
    }

    /// Adds a zeroed folio of order 0 to each of `pages` (indexes) before EOF that has none, and
    /// returns how many were added. They are unlocked. May sleep.
    ///
    /// It stops at a page that cannot be added, and when the process is being killed.
    pub fn add_single_pages<'m, G: TruncateGuard<'m>, Q: Quota>(
        held: &G,
        pages: Range<usize>,
        quota: &Q,
    ) -> usize {
        let mapping = held.mapping();
        let end = pages.end.min(mapping.size_pages());
        let (mut index, mut added) = (pages.start, 0);
        while index < end {
            index = mapping.first_missing(index, end - index);
            let missing_until = mapping.first_page(index, end);
            while index < missing_until {
                if fatal_signal_pending() {
                    return added;
                }
                // SAFETY: `end` was read above, with `held` held.
                match unsafe { Self::add_one(held, index, 0, end, quota) } {
                    Ok(_unlocked) => added += 1,
                    Err(error) if error == EEXIST => {}
                    Err(_) => return added,
                }
                index += 1;
            }
        }
        added
    }

    /// Fills a folio from `iov` and adds it to the hole that holds byte `pos`: the largest folio
    /// that fits between resident pages and within `room`, which may reach past EOF. May sleep.
    ///
    /// The folio is filled before other threads can see it. So a source that sleeps or faults, even
    /// on pages of this file, blocks no other thread. The size grows while the folio is still
    /// locked, and never covers a byte that was not written. The part of the folio that the write
    /// does not cover is zeroed; it lies before EOF.
    ///
    /// # Errors
    ///
    /// As [`AddressSpace::add_largest`], and `EFAULT` when no byte could be copied. `iov` is
    /// unchanged then.
    pub(crate) fn add_written<D: InodeData, Q: Quota>(
        guard: &InodeGuard<'_, D>,
        pos: u64,
        mut room: FolioRange,
        iov: &mut IovIterSource<'_>,
        quota: &Q,
    ) -> Result<Written> {
        let mapping = guard.mapping();
        let index = (pos / PAGE_SIZE as u64) as usize;
        // The inode lock keeps the size stable.
        let size_pages = mapping.size_pages();
        loop {
            // The page after the last copied byte, if the copy was short and the folio reaches past
            // EOF.
            let mut ended = None;
            let attempt = mapping.try_orders(index, &room, |order| {
                let pages = 1 << order;
                let first = index & !(pages - 1);
                let offset = (pos - first as u64 * PAGE_SIZE as u64) as usize;
                let charged = Charged::new(quota, pages)?;
                let (folio, copied) =
                    NewFolio::copy_from_iter(mapping.gfp(), order, offset, iov.len(), iov)
                        .ok_or(ENOMEM)?;
                let end = pos + copied as u64;
                let end_pages = end.div_ceil(PAGE_SIZE as u64) as usize;
                let added = if copied == 0 {
                    Err(Refused::AnyOrder(EFAULT))
                } else if first + pages > size_pages.max(end_pages) {
                    ended = Some(end_pages);
                    Err(Refused::AnyOrder(EFAULT))
                } else {
                    // SAFETY: The inode lock holds truncation off. The folio reaches no further
                    // than the old size or `end`, rounded up to pages, and the size is at least
                    // `end` before the folio is unlocked.
                    unsafe { mapping.add_folio_at(folio, first) }
                        .map_err(|failed| Refused::ThisOrder(failed.error))
                };
                match added {
                    Ok(locked) => {
                        charged.keep();
                        guard.extend(end);
                        drop(locked);
                        Ok(copied)
                    }
                    Err(refused) => {
                        // SAFETY: `copied` bytes were just taken from the source.
                        unsafe { bindings::iov_iter_revert(iov.as_raw(), copied) };
                        Err(refused)
                    }
                }
            });
            match (attempt, ended) {
                (Ok(added), _) => {
                    return Ok(Written {
                        copied: added.got,
                        order: added.order,
                        fell_back: added.fell_back,
                    });
                }
                // Try again, up to where the source is known to end.
                (Err(_), Some(end)) => room = room.within(0..end),
                (Err(error), None) => return Err(error),
            }
        }
    }

    /// Adds a zeroed folio of 2^`order` pages that holds page `index`, if all its pages are before
    /// page `end`.
    ///
    /// # Safety
    ///
    /// `end` is at most what [`AddressSpace::size_pages`] returned while `held` was held.
    unsafe fn add_one<'m, G: TruncateGuard<'m>, Q: Quota>(
        held: &G,
        index: usize,
        order: u32,
        end: usize,
        quota: &Q,
    ) -> Result<LockedFolio<'m>> {
        let pages = 1 << order;
        let first = index & !(pages - 1);
        if first + pages > end {
            return Err(EINVAL);
        }
        let charged = Charged::new(quota, pages)?;
        let folio = AddressSpace::alloc_folio(held, index, order).ok_or(ENOMEM)?;
        // SAFETY: Truncation is held off, and the size has not shrunk since `end` was read: the
        // folio ends before EOF.
        let added = unsafe { held.mapping().add_folio_at(folio, first) };
        let folio = added.map_err(|failed| failed.error)?;
        charged.keep();
        Ok(folio)
    }

    /// Tries to add a folio that holds page `index`, from the largest order that fits between
    /// resident pages and within `room` down to 0.
    fn try_orders<T>(
        &self,
        index: usize,
        room: &FolioRange,
        mut attempt: impl FnMut(u32) -> core::result::Result<T, Refused>,
    ) -> Result<Attempt<T>> {
        let wanted = self.vacant_order(index, room);
        let mut order = wanted.min(room.start_order);
        loop {
            match attempt(order) {
                Ok(got) => {
                    return Ok(Attempt {
                        got,
                        order,
                        fell_back: order < wanted,
                    });
                }
                Err(Refused::ThisOrder(_)) if order > 0 => order -= 1,
                Err(Refused::ThisOrder(error)) => return Err(self.reason(index, error)),
                Err(Refused::AnyOrder(error)) => return Err(error),
            }
        }
    }

    /// Returns why page `index` could not be added, after `error`: `EEXIST` when another thread has
    /// added it, since that may have used up the quota, the memory or the memory cgroup's limit.
    fn reason(&self, index: usize, error: Error) -> Error {
        if self.has_page(index, 1) {
            EEXIST
        } else {
            error
        }
    }

    /// Returns the order of the largest folio that fits around page `index`.
    ///
    /// Another thread may add pages meanwhile: this only avoids allocating and zeroing folios that
    /// are unlikely to fit.
    fn vacant_order(&self, index: usize, room: &FolioRange) -> u32 {
        // One order above `start_order` suffices to tell whether a larger folio would fit.
        let most = room.max_order.min(room.start_order.saturating_add(1));
        let mut order = most.min(self.max_order());
        while order > 0 {
            match room.first_of(index, order) {
                Some(first) if !self.has_page(first, 1 << order) => break,
                _ => order -= 1,
            }
        }
        order
    }

    /// Returns whether any of `count` pages from page `first` on is resident. Does not sleep.
    fn has_page(&self, first: usize, count: usize) -> bool {
        let end = first.saturating_add(count);
        self.first_page(first, end) < end
    }
}
