// SPDX-License-Identifier: GPL-2.0

//! Plans which folios a fault or a write adds.
//!
//! Zeroing is unavoidable; only the overhead per fault and per folio can be saved. Adding too many
//! pages at once costs memory that is never accessed. `N` is the number of pages directly before
//! the faulting page that the page cache holds without a gap:
//!
//! | mapping and fault | pages added |
//! |---|---|
//! | `FAULT_FLAG_REMOTE` (ptrace(2), process_vm_writev(2)) | the faulting page |
//! | `MADV_RANDOM`, unless populated or locked | the faulting page |
//! | policy `always`, or `MADV_HUGEPAGE` under `adaptive` | the largest folio around the page |
//! | `adaptive`, populated or `VM_LOCKED` | the largest folio that begins with the page |
//! | `adaptive`, N < 16 | the faulting page |
//! | `adaptive`, N >= 16, every 4th page | a folio of at most N + 1 pages that begins there |
//! | `adaptive`, `MADV_SEQUENTIAL` | the same, of at most 16 pages where N is less |
//! | `never`, or `MADV_NOHUGEPAGE`, populated or `VM_LOCKED` | the faulting page |
//! | `never`, or `MADV_NOHUGEPAGE` | as `adaptive`, up to 64, each a folio of its own |
//! | write(2), `always` | the largest folio around the page |
//! | write(2), `adaptive` | the largest folio that the write fills |
//! | write(2), `never` | one page |
//!
//! `get_user_pages()`, for direct I/O or io_uring, gets the same pages as an access. A folio never
//! covers pages that the page cache holds; a later fault continues after them.
//!
//! The page cache is the history, so each of any number of streams has its own. A fault adds at
//! most as many pages as the run before it has, its own page included. So a run costs less than
//! twice the pages that it accesses, and strides, bursts of up to 16 pages, backward and random
//! accesses cost only the pages that they access. A program that accesses only the first page of
//! each folio that a stream adds defeats this; `MADV_RANDOM` is for such programs.
//!
//! The policy does not handle limits. When the quota, the memory cgroup or the page allocator
//! refuses an order, [`kernel_mm::cache::insert`] retries with smaller ones, and
//! [`crate::order_hint`] remembers where to start the next time. Where not even order 1 is
//! available, a stream adds and maps single pages, several per fault, as with policy `never`.

use crate::{
    policy::Policy,
    region::{
        Region,
        RegionRef, //
    }, //
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

/// The number of consecutive pages that make a stream. With pages of 4 KiB it is the window in
/// which the core maps resident neighbours (`fault_around_bytes`).
const PATIENCE: usize = 16;

/// The alignment of the pages at which a fault looks for a stream. A stream adds multiples of it.
const ALIGNMENT: usize = 4;

/// The largest number of single pages that one fault adds.
///
/// With so many, the cost of the fault per page is small.
const BATCH: usize = 64;

/// An order that is no limit: alignment and the page cache limit the order.
const LARGEST: u32 = usize::BITS - 1;

/// The folios that a fault on a missing page adds.
pub(crate) enum Plan {
    /// The largest folio that fits in this range.
    Folio(FolioRange),
    /// A folio of one page for each of these pages. The fault maps them all.
    SinglePages(Range<usize>),
}

impl Plan {
    /// Returns the plan that adds page `index` only.
    fn page(index: usize) -> Self {
        Self::Folio(FolioRange::page(index))
    }

    /// Returns the plan that adds `pages` pages from page `index` on, each in a folio of its own,
    /// up to the first resident one: among many resident pages the accesses may well be random.
    fn single_pages(mapping: &AddressSpace, index: usize, pages: usize, end: usize) -> Self {
        let end = index.saturating_add(pages.min(BATCH)).min(end);
        match mapping.first_page(index + 1, end) {
            end if end > index + 1 => Self::SinglePages(index..end),
            _ => Self::page(index),
        }
    }
}

/// Plans a fault on a missing page of `region`, whose last page is `end - 1`.
pub(crate) fn for_fault<V: VmOperations>(
    region: &RegionRef,
    vmf: &VmFault<'_, V>,
    end: usize,
) -> Plan {
    let index = vmf.pgoff();
    let vma = vmf.vma();
    let pattern = vma.pattern();
    // The fault is one of many, for all pages of a range.
    let populates = vma.is_locked() || vmf.is_populate();
    if vmf.is_remote() || (pattern == Pattern::Random && !populates) {
        return Plan::page(index);
    }

    let policy = match (vma.huge(), region.policy()) {
        (Huge::Unwanted, _) => Policy::Never,
        (Huge::Wanted, Policy::Adaptive) => Policy::Always,
        (_, policy) => policy,
    };
    // Most random accesses need no further checks.
    if policy != Policy::Always
        && !populates
        && pattern != Pattern::Sequential
        && index % ALIGNMENT != 0
    {
        return Plan::page(index);
    }

    let around = vmf.folio_range().within(0..end);
    let max_order = around.max_order().min(region.mapping().max_order());
    let policy = match max_order {
        // Address and offset are not aligned to each other, and the core cannot map a large folio
        // at once; or the kernel has no large folios.
        0 => Policy::Never,
        _ => policy,
    };
    let pages = |most| stream_pages(region.mapping(), index, pattern, most);
    let hint = region.order_hint.order();
    match policy {
        Policy::Always => Plan::Folio(around.with_start_order(hint)),
        Policy::Never if populates => Plan::page(index),
        Policy::Never => match pages(BATCH) {
            1 => Plan::page(index),
            pages => Plan::single_pages(region.mapping(), index, pages, end),
        },
        Policy::Adaptive if populates => {
            Plan::Folio(around.within(index..end).with_start_order(hint))
        }
        Policy::Adaptive => {
            let pages = pages(1 << max_order);
            if pages == 1 {
                return Plan::page(index);
            }
            if hint == 0 {
                // Order 1 failed recently. The next fault tries it again.
                region.order_hint.record(0, true);
                return Plan::single_pages(region.mapping(), index, pages, end);
            }
            let after = around.within(index..end);
            Plan::Folio(after.with_max_order(order_of(pages)).with_start_order(hint))
        }
    }
}

/// Returns the number of pages that a fault on the missing page `index` adds, its own included: the
/// largest power of two that is at most the length of the run and at most `most`, or 1 where the
/// run is no stream.
#[inline]
fn stream_pages(mapping: &AddressSpace, index: usize, pattern: Pattern, most: usize) -> usize {
    let least = match pattern {
        Pattern::Sequential => PATIENCE,
        // No large folio of useful size begins here. A stream gets one at most three pages later; a
        // random access saves the lookup.
        _ if index % ALIGNMENT != 0 => return 1,
        _ => 1,
    };
    match mapping.resident_before(index, most - 1) {
        before if before < PATIENCE => least,
        before => 1 << order_of(before + 1),
    }
}

/// Returns the order of the largest folio of at most `pages` pages.
fn order_of(pages: usize) -> u32 {
    pages.checked_ilog2().unwrap_or(0)
}

impl WriteFolios for Region {
    fn write_room(&self, pages: Range<usize>, end: usize) -> FolioRange {
        let index = pages.start;
        let range = match self.policy() {
            Policy::Never => FolioRange::page(index),
            Policy::Always => FolioRange::new(0..end, LARGEST),
            // The size of the write is known: pages past it would be zeroed now and written later.
            Policy::Adaptive => FolioRange::new(index..end, order_of(pages.len())),
        };
        range.with_start_order(self.order_hint.order())
    }

    fn write_added(&self, order: u32, fell_back: bool) {
        self.count_folios(order, 1);
        self.record_order(order, fell_back);
    }
}
