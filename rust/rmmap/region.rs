// SPDX-License-Identifier: GPL-2.0

//! A region: memory of a given size, shared by all its files and mappings.
//!
//! Its pages are in the page cache of its inode and nowhere else. Each page there is charged to the
//! device's quota once: [`Quota::charge`] charges it before it is added, and
//! [`Region::pages_removed`], which the library calls for pages that leave the cache, uncharges it.
//! Pages are dirty from the start, so that only truncation, hole punching and eviction of the inode
//! remove them.

use crate::{
    contract::Contract,
    device::Device,
    order_hint::OrderHint,
    policy::{
        Policy,
        PolicyCell, //
    },
    stats::{
        Counters,
        Event,
        FaultKind,
        Outcome, //
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
use kernel_mm::cache::{
    inode::{
        Inode,
        InodeData, //
    },
    insert::Quota,
    seals::Seals, //
};

/// A reference to a region.
pub(crate) type RegionRef = ARef<Inode<Region>>;

/// The kind of a region.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The device's own region, of fixed size: `/dev/rmmap` maps it.
    Device,
    /// Created by userspace; like a memfd it grows by write(2) and ftruncate(2).
    Created,
}

/// The data of a region, except its pages.
pub(crate) struct Region {
    pub(crate) device: Arc<Device>,
    pub(crate) kind: Kind,
    pub(crate) counters: Counters,
    /// The largest order that was available.
    pub(crate) order_hint: OrderHint,
    /// The mode and the seals of a created region.
    contract: Contract,
    /// The policy of a created region. The device's own region uses the device's policy.
    policy: PolicyCell,
}

impl Region {
    /// Creates an empty region, charged to the caller's memory cgroup.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ENFILE` when userspace has reached the limit on regions.
    pub(crate) fn new(
        device: Arc<Device>,
        kind: Kind,
        policy: Policy,
        contract: Contract,
    ) -> Result<KBox<Self>> {
        device.add_region(kind)?;
        let region = Self {
            counters: Counters::new(),
            order_hint: OrderHint::new(),
            policy: PolicyCell::new(policy),
            contract,
            kind,
            device,
        };
        // If there is no memory for the box, dropping the region uncounts it.
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
        self.counters.count_folios(order, n as u64);
        self.device.counters.count_folios(order, n as u64);
    }

    /// Records that a folio of `order` was added, without counting it; `fell_back` tells whether a
    /// larger one would fit.
    pub(crate) fn record_order(&self, order: u32, fell_back: bool) {
        self.order_hint.record(order, fell_back);
        if fell_back {
            self.count(Event::OrderFallback);
        }
    }

    /// Counts a fault with its outcome and the folio that it added, for the region and for the
    /// device.
    #[inline(always)]
    pub(crate) fn count_fault(&self, kind: FaultKind, outcome: Outcome, order: u32) {
        self.counters.count_fault(kind, outcome, order);
        self.device.counters.count_fault(kind, outcome, order);
    }

    /// Counts a new mapping of `pages` pages, for the region and for the device. May sleep.
    pub(crate) fn count_mmap(&self, pages: usize) {
        self.counters.count_mmap(pages);
        self.device.counters.count_n(Event::Mmap, 1);
    }

    /// Counts one `event`, for the region and for the device.
    #[inline(always)]
    pub(crate) fn count(&self, event: Event) {
        self.count_n(event, 1);
    }

    /// Adds `n` to the counters of `event`, for the region and for the device.
    #[inline(always)]
    pub(crate) fn count_n(&self, event: Event, n: u64) {
        self.counters.count_n(event, n);
        self.device.counters.count_n(event, n);
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
        self.device.pages().uncharge(pages);
        self.count_n(Event::Discarded, pages as u64 * PAGE_SIZE as u64);
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
        trace::truncate(inode.ino(), from, to, removed);
    }

    fn punched(inode: &Inode<Self>, offset: u64, len: u64, removed: usize) {
        trace::discard(inode.ino(), offset, len, removed);
    }
}

impl Quota for Region {
    fn charge(&self, pages: usize) -> bool {
        self.device.pages().charge(pages)
    }

    fn uncharge(&self, pages: usize) {
        self.device.pages().uncharge(pages);
    }

    fn limit(&self) -> usize {
        (self.device.limits.max_bytes / PAGE_SIZE as u64) as usize
    }
}
