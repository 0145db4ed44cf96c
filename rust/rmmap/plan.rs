// SPDX-License-Identifier: GPL-2.0

//! The folio policy: how much memory one fault or write brings, and in which folios.
//!
//! The zeroing of memory costs what it costs; what can be saved is the rest, which is per folio and
//! per fault, and not per byte. What can be lost is memory that nobody touches. So:
//!
//! | what is known | what is done |
//! |---|---|
//! | policy `always`, or `MADV_HUGEPAGE` | the largest that fits around it |
//! | a page for a debugger (`FAULT_FLAG_REMOTE`) | the page, and no more |
//! | populate, `VM_LOCKED`: all that follows is wanted | the largest that begins here |
//! | `MADV_SEQUENTIAL` | the same |
//! | touches, or direct I/O, in order | they double, as readahead does ([`crate::streams`]) |
//! | a write(2) of many pages | the largest that it fills |
//! | `MADV_RANDOM`, or a touch that is none of these | the page, and no more |
//!
//! With policy `never`, or `MADV_NOHUGEPAGE`, every folio is one page. Touches in order then add
//! and map several of them per fault ([`BATCH`] at most): what is saved is the fault. A populate
//! asks for every page by itself, and gets it.
//!
//! What is there already is left as it is: the largest folios that fit between are brought, and a
//! stream goes on behind it.
//!
//! Limits are not a matter of policy: what the quota, the memory cgroup or the allocator refuse is
//! tried again smaller ([`kernel_mm::cache::insert`]), and remembered, so that the next one begins
//! there ([`crate::reach`]). Where not even two pages are to be had together, touches in order add
//! and map single ones, several per fault, as with policy `never`.

use crate::{
    region::Region,
    streams::Streams,
    vm::RegionVm, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};
use kernel_mm::{
    cache::insert::FolioRange,
    vm::{
        fault::VmFault,
        vma::{
            Huge,
            Pattern, //
        }, //
    }, //
};
use rmmap_uapi::{
    RMMAP_POLICY_ADAPTIVE,
    RMMAP_POLICY_ALWAYS,
    RMMAP_POLICY_NEVER, //
};

/// Pages that one fault adds at most where each is a folio of its own.
///
/// The cost of a fault per page is nearly gone by then, and a process that stops here has touched
/// at least half as much.
const BATCH: usize = 64;

/// The order of a folio for which only the alignment sets a limit.
const LARGEST: u32 = usize::BITS - 1;

/// What a region does of its own accord.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Every folio is one page.
    Never,
    /// As the table above says.
    Adaptive,
    /// The largest folios there is room for.
    Always,
}

impl Policy {
    /// The policy with this number of the ABI.
    pub(crate) fn from_abi(number: u32) -> Result<Self> {
        match number {
            RMMAP_POLICY_NEVER => Ok(Self::Never),
            RMMAP_POLICY_ADAPTIVE => Ok(Self::Adaptive),
            RMMAP_POLICY_ALWAYS => Ok(Self::Always),
            _ => Err(EINVAL),
        }
    }

    /// Its number in the ABI.
    pub(crate) fn to_abi(self) -> u32 {
        match self {
            Self::Never => RMMAP_POLICY_NEVER,
            Self::Adaptive => RMMAP_POLICY_ADAPTIVE,
            Self::Always => RMMAP_POLICY_ALWAYS,
        }
    }
}

/// A policy that may be changed while it is used; whoever reads it sees the old or the new one.
pub(crate) struct PolicyCell(Atomic<u32>);

impl PolicyCell {
    pub(crate) fn new(policy: Policy) -> Self {
        Self(Atomic::new(policy.to_abi()))
    }

    pub(crate) fn get(&self) -> Policy {
        // Only `set` writes it, so that the number is always one of the ABI.
        Policy::from_abi(self.0.load(Relaxed)).unwrap_or(Policy::Adaptive)
    }

    pub(crate) fn set(&self, policy: Policy) {
        self.0.store(policy.to_abi(), Relaxed);
    }
}

/// How a page that is missing is brought.
pub(crate) struct Plan {
    pub(crate) how: How,
    /// The level of the stream that the fault is part of, to be recorded; [`None`] for faults that
    /// say nothing about the next.
    pub(crate) level: Option<u32>,
}

/// In what a page is brought.
pub(crate) enum How {
    /// In a folio that has this room.
    Folio(FolioRange),
    /// Together with these pages, each in a folio of its own, all mapped by this fault.
    Batch(Range<usize>),
}

/// Decides how the page that `vmf` asks for is brought to `region`, whose last page is `end - 1`.
pub(crate) fn for_fault(region: &Region, vmf: &VmFault<'_, RegionVm>, end: usize) -> Plan {
    let index = vmf.pgoff();
    let vma = vmf.vma();
    let pattern = vma.pattern();
    // Direct I/O and others that get pages for the kernel want no more than a touch does, and a
    // debugger no more than its page.
    let up_front = vma.is_locked() || vmf.is_populate();
    if vmf.is_remote() || pattern == Pattern::Random && !up_front {
        return Plan {
            how: How::Folio(FolioRange::page(index)),
            level: None,
        };
    }
    let room = vmf.folio_range().within(0..end);
    let policy = match vma.huge() {
        Huge::Unwanted => Policy::Never,
        // Address and offset are not aligned to each other: no folio can be mapped as a whole.
        _ if room.max_order() == 0 => Policy::Never,
        Huge::Wanted if region.policy() == Policy::Adaptive => Policy::Always,
        _ => region.policy(),
    };
    let (level, wanted) = if up_front || pattern == Pattern::Sequential {
        (None, LARGEST)
    } else {
        let level = region.streams.level(index);
        (Some(level), Streams::order(level))
    };
    let reach = region.reach.order();
    let batch = || {
        let pages = 1usize.checked_shl(wanted).unwrap_or(BATCH).min(BATCH);
        How::Batch(index..index.saturating_add(pages).min(end))
    };
    let how = match policy {
        Policy::Never if wanted == 0 || up_front => How::Folio(FolioRange::page(index)),
        Policy::Never => batch(),
        Policy::Always => How::Folio(room.with_start_order(reach)),
        Policy::Adaptive if reach == 0 && wanted > 0 && !up_front => {
            // The next fault tries a larger one again.
            region.reach.record(0, true);
            batch()
        }
        // What comes before has been skipped, or is not asked for.
        Policy::Adaptive => How::Folio(
            room.within(index..end)
                .with_max_order(wanted)
                .with_start_order(reach),
        ),
    };
    Plan { how, level }
}

/// Decides what room a folio has that a write(2) of `pages` needs for the first of them; `end` is
/// the page behind the region's last, or behind the write's.
pub(crate) fn for_write(region: &Region, pages: Range<usize>, end: usize) -> FolioRange {
    let index = pages.start;
    let room = match region.policy() {
        Policy::Never => FolioRange::page(index),
        Policy::Always => FolioRange::new(0..end, LARGEST),
        Policy::Adaptive => {
            let filled = pages.len().max(1).ilog2();
            let order = filled.max(Streams::order(region.streams.level(index)));
            FolioRange::new(index..end, order)
        }
    };
    room.with_start_order(region.reach.order())
}
