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
//! there ([`crate::order_hint`]). Where not even two pages are to be had together, touches in order add
//! and map single ones, several per fault, as with policy `never`.

use crate::{
    policy::Policy,
    region::Region,
    streams::Streams, //
};
use core::ops::Range;
use kernel_mm::{
    cache::{
        address_space::AddressSpace,
        insert::FolioRange, //
    },
    file::rw::WriteFolios,
    vm::{
        fault::VmFault,
        ops::VmOperations,
        vma::{
            Huge,
            Pattern, //
        }, //
    }, //
};

/// Pages that one fault adds at most where each is a folio of its own.
///
/// The cost of a fault per page is nearly gone by then, and a process that stops here has touched
/// at least half as much.
const BATCH: usize = 64;

/// The order of a folio for which only the alignment sets a limit.
const LARGEST: u32 = usize::BITS - 1;

/// The folios that a fault on a missing page adds.
pub(crate) enum Plan {
    /// The largest folio that fits in this range.
    Folio(FolioRange),
    /// A folio of one page for each of these pages. The fault maps them all.
    SinglePages(Range<usize>),
}

/// Plans a fault on a missing page of `region`, whose last page is `end - 1`. Returns also the
/// level of the stream that the fault is part of, to be recorded; [`None`] for faults that say
/// nothing about the next.
pub(crate) fn for_fault<V: VmOperations>(
    region: &Region,
    vmf: &VmFault<'_, V>,
    end: usize,
) -> (Plan, Option<u32>) {
    let index = vmf.pgoff();
    let vma = vmf.vma();
    let pattern = vma.pattern();
    // Direct I/O and others that get pages for the kernel want no more than a touch does, and a
    // debugger no more than its page.
    let up_front = vma.is_locked() || vmf.is_populate();
    if vmf.is_remote() || pattern == Pattern::Random && !up_front {
        return (Plan::Folio(FolioRange::page(index)), None);
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
    let hint = region.order_hint.order();
    let single_pages = || {
        let pages = 1usize.checked_shl(wanted).unwrap_or(BATCH).min(BATCH);
        Plan::SinglePages(index..index.saturating_add(pages).min(end))
    };
    let plan = match policy {
        Policy::Never if wanted == 0 || up_front => Plan::Folio(FolioRange::page(index)),
        Policy::Never => single_pages(),
        Policy::Always => Plan::Folio(room.with_start_order(hint)),
        Policy::Adaptive if hint == 0 && wanted > 0 && !up_front => {
            // The next fault tries a larger one again.
            region.order_hint.record(0, true);
            single_pages()
        }
        // What comes before has been skipped, or is not asked for.
        Policy::Adaptive => Plan::Folio(
            room.within(index..end)
                .with_max_order(wanted)
                .with_start_order(hint),
        ),
    };
    (plan, level)
}

impl WriteFolios for Region {
    fn write_room(&self, _mapping: &AddressSpace, pages: Range<usize>, end: usize) -> FolioRange {
        let index = pages.start;
        let room = match self.policy() {
            Policy::Never => FolioRange::page(index),
            Policy::Always => FolioRange::new(0..end, LARGEST),
            Policy::Adaptive => {
                let filled = pages.len().max(1).ilog2();
                let order = filled.max(Streams::order(self.streams.level(index)));
                FolioRange::new(index..end, order)
            }
        };
        room.with_start_order(self.order_hint.order())
    }

    fn write_added(&self, mapping: &AddressSpace, order: u32, end: usize, fell_back: bool) {
        // A stream of writes is one as well as a stream of touches.
        let level = self.streams.level(end - (1 << order));
        self.streams.record(mapping, end, level);
        self.count_new(order, fell_back);
    }
}
