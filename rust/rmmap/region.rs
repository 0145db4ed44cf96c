// SPDX-License-Identifier: GPL-2.0

//! A region: memory of a size, shared by all who open or map it.
//!
//! Its pages are in the page cache of its inode and nowhere else. Each page there is charged to the
//! device's quota once: by [`add_page`] when it is added, and given back by
//! [`Region::pages_removed`], which the library calls for each page that leaves. Pages are dirty
//! from the start, so that none leaves but by truncation, hole punching and the region's end.

use crate::{
    device::Device,
    stats::{
        Counters,
        Event, //
    },
    trace, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};
use kernel_mm::{
    folio::LockedFolio,
    inode::{
        Inode,
        InodeData, //
    },
    page_cache::{
        AddressSpace,
        TruncationHeldOff, //
    }, //
};

/// A reference to a region.
pub(crate) type RegionRef = ARef<Inode<Region>>;

/// Whose a region is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The device's own, of fixed size: what `/dev/rmmap` shows.
    Device,
    /// Made by userspace; as a memfd it grows by writing and ftruncate(2).
    Created,
}

/// What is known of a region besides its pages.
pub(crate) struct Region {
    pub(crate) device: Arc<Device>,
    pub(crate) kind: Kind,
    pub(crate) counters: Counters,
}

impl Region {
    pub(crate) fn new(device: Arc<Device>, kind: Kind) -> Result<KBox<Self>> {
        let region = KBox::new(
            Self {
                counters: Counters::new()?,
                kind,
                device,
            },
            GFP_KERNEL,
        )?;
        region.device.count_region(1);
        Ok(region)
    }

    /// Counts `n` of `event`, for the region and for the device.
    #[inline(always)]
    pub(crate) fn add(&self, event: Event, n: u64) {
        self.counters.add(event, n);
        self.device.counters.add(event, n);
    }

    /// Counts one `event`.
    #[inline(always)]
    pub(crate) fn count(&self, event: Event) {
        self.add(event, 1);
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.device.count_region(-1);
    }
}

impl InodeData for Region {
    fn may_resize(&self, size: u64) -> Result {
        // A region that can never be filled is a mistake; a sparse one within the quota is not.
        if size > self.device.limits.max_bytes {
            return Err(EFBIG);
        }
        Ok(())
    }

    fn pages_removed(&self, pages: usize) {
        self.device.uncharge(pages);
        self.add(Event::Discarded, pages as u64 * PAGE_SIZE as u64);
    }

    fn resized(inode: &Inode<Self>, from: u64, to: u64, removed: usize) {
        trace::truncate(inode, from, to, removed);
    }

    fn punched(inode: &Inode<Self>, offset: u64, len: u64, removed: usize) {
        trace::discard(inode, offset, len, removed);
    }
}

/// Finds page `index`, or allocates it zeroed; returns its folio, locked, and whether it is new.
///
/// # Errors
///
/// `ENOMEM` when the quota, the memory cgroup's limit or the memory is exhausted.
pub(crate) fn find_or_add<G: TruncationHeldOff>(
    region: &Region,
    held: &G,
    index: usize,
) -> Result<(LockedFolio, bool)> {
    loop {
        if let Some(folio) = held.mapping().lock_folio(index) {
            return Ok((folio, false));
        }
        match add_page(region, held, index) {
            // Somebody else was faster.
            Err(e) if e == EEXIST => continue,
            added => return added.map(|folio| (folio, true)),
        }
    }
}

/// Adds a zeroed page at `index`, where there is none.
///
/// # Errors
///
/// `EEXIST` when there is one now; otherwise as [`find_or_add`].
pub(crate) fn add_page<G: TruncationHeldOff>(
    region: &Region,
    held: &G,
    index: usize,
) -> Result<LockedFolio> {
    region.device.charge(1)?;
    let folio = held.mapping().alloc_folio(0).ok_or(ENOMEM);
    let added = folio.and_then(|folio| {
        AddressSpace::add_folio(held, folio, index).map_err(|failed| failed.error)
    });
    match &added {
        Ok(folio) => {
            region.counters.add_folio(folio.order());
            region.device.counters.add_folio(folio.order());
        }
        Err(_) => region.device.uncharge(1),
    }
    added
}
