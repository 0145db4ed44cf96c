// SPDX-License-Identifier: GPL-2.0

//! A region: memory of a size, shared by all who open or map it.
//!
//! Its pages are in the page cache of its inode and nowhere else. Each page there is charged to the
//! device's quota once: by [`Quota::charge`] before it is added, and given back by
//! [`Region::pages_removed`], which the library calls for each page that leaves. Pages are dirty
//! from the start, so that none leaves but by truncation, hole punching and the region's end.

use crate::{
    contract::Contract,
    device::Device,
    policy::{
        self,
        Policy,
        PolicyCell, //
    },
    reach::Reach,
    stats::{
        Asked,
        Counters,
        Event,
        Given, //
    },
    streams::Streams,
    trace, //
};
use core::ops::Range;
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};
use kernel_mm::{
    cache::{
        address_space::AddressSpace,
        inode::{
            Inode,
            InodeData, //
        },
        insert::{
            FolioRange, //
            Quota,
        },
        seals::Seals, //
    },
    file::rw::WriteFolios, //
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
    /// Where it is being touched page after page.
    pub(crate) streams: Streams,
    /// What folios there is memory for.
    pub(crate) reach: Reach,
    /// What a created region promises as a file.
    contract: Contract,
    /// A created region's policy. The device's own region has the device's.
    policy: PolicyCell,
}

impl Region {
    /// Makes a region that holds nothing, charged to the memory cgroup of the caller.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ENFILE` when userspace has as many regions as it may.
    pub(crate) fn new(
        device: Arc<Device>,
        kind: Kind,
        policy: Policy,
        contract: Contract,
    ) -> Result<KBox<Self>> {
        let counters = Counters::new()?;
        device.add_region(kind)?;
        let region = Self {
            counters,
            streams: Streams::new(),
            reach: Reach::new(),
            policy: PolicyCell::new(policy),
            contract,
            kind,
            device,
        };
        // Where there is no memory for the box, the region is dropped and counted no more.
        Ok(KBox::new(region, GFP_KERNEL_ACCOUNT)?)
    }

    /// Returns the folio policy.
    #[inline]
    pub(crate) fn policy(&self) -> Policy {
        self.policy_cell().get()
    }

    /// Sets the folio policy.
    pub(crate) fn set_policy(&self, policy: Policy) {
        self.policy_cell().set(policy);
    }

    #[inline]
    fn policy_cell(&self) -> &PolicyCell {
        match self.kind {
            Kind::Device => &self.device.policy,
            Kind::Created => &self.policy,
        }
    }

    /// Counts `n` folios of `order` that were added.
    pub(crate) fn count_folios(&self, order: u32, n: usize) {
        self.counters.add_folios(order, n as u64);
        self.device.counters.add_folios(order, n as u64);
    }

    /// Counts a folio of `order` that was added; `fell_back` tells that a larger one had room.
    pub(crate) fn count_new(&self, order: u32, fell_back: bool) {
        self.count_folios(order, 1);
        self.reach.record(order, fell_back);
        if fell_back {
            self.count(Event::OrderFallback);
        }
    }

    /// Counts `n` of `event`, for the region and for the device.
    #[inline(always)]
    pub(crate) fn add(&self, event: Event, n: u64) {
        self.counters.add(event, n);
        self.device.counters.add(event, n);
    }

    /// Counts a fault with its answer, for the region and for the device.
    #[inline(always)]
    pub(crate) fn count_fault(&self, asked: Asked, given: Given) {
        self.counters.add_fault(asked, given);
        self.device.counters.add_fault(asked, given);
    }

    /// Counts one `event`.
    #[inline(always)]
    pub(crate) fn count(&self, event: Event) {
        self.add(event, 1);
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.device.remove_region();
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

    fn mode(&self) -> u16 {
        self.contract.mode
    }

    fn seals(&self) -> Option<&Seals> {
        match self.kind {
            Kind::Device => None,
            Kind::Created => Some(&self.contract.seals),
        }
    }

    fn resized(inode: &Inode<Self>, from: u64, to: u64, removed: usize) {
        trace::truncate(inode, from, to, removed);
    }

    fn punched(inode: &Inode<Self>, offset: u64, len: u64, removed: usize) {
        trace::discard(inode, offset, len, removed);
    }
}

impl Quota for Region {
    fn charge(&self, pages: usize) -> bool {
        self.device.charge(pages)
    }

    fn uncharge(&self, pages: usize) {
        self.device.uncharge(pages);
    }

    fn limit(&self) -> usize {
        (self.device.limits.max_bytes / PAGE_SIZE as u64) as usize
    }
}

impl WriteFolios for Region {
    fn write_room(&self, _mapping: &AddressSpace, pages: Range<usize>, end: usize) -> FolioRange {
        policy::for_write(self, pages, end)
    }

    fn write_added(&self, mapping: &AddressSpace, order: u32, end: usize, fell_back: bool) {
        // A stream of writes is one as well as a stream of touches.
        let level = self.streams.level(end - (1 << order));
        self.streams.record(mapping, end, level);
        self.count_new(order, fell_back);
    }
}
