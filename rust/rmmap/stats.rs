// SPDX-License-Identifier: GPL-2.0

//! What is counted, per region and for the device.
//!
//! Counters are per CPU, so that counting costs two instructions a fault and shares no cache line.
//! A module that is built with `STATS=n` has none at all: what they cost is the difference. It says
//! so ([`COUNTED`]) instead of showing zeroes to programs.

use kernel::prelude::*;
#[cfg(not(rmmap_without_statistics))]
use kernel_mm::percpu::PerCpuCounters as Counts;
use kernel_mm::vm::{
    fault::VmFault,
    ops::VmOperations, //
};
use rmmap_uapi::{
    RmmapCounters,
    RMMAP_NR_ORDERS, //
};

/// What a fault asks for, and whether a program touches the page or a range is populated.
#[derive(Clone, Copy)]
pub(crate) struct Asked(usize);

/// How many differ.
const ASKED: usize = 2 * COW + 2;

const READ: usize = 0;
const WRITE: usize = 1;
const COW: usize = 2;

impl Asked {
    /// Of a fault.
    #[inline(always)]
    pub(crate) fn of<T: VmOperations>(vmf: &VmFault<'_, T>) -> Self {
        let kind = if vmf.is_cow() {
            COW
        } else if vmf.is_write() {
            WRITE
        } else {
            READ
        };
        Self(2 * kind + usize::from(!vmf.is_access()))
    }
}

/// How a fault is answered.
#[derive(Clone, Copy)]
pub(crate) enum Given {
    Cached,
    New,
    Zero,
    Sigbus,
    Oom,
}

/// How many differ.
const GIVEN: usize = Given::Oom as usize + 1;

/// What else is counted.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    Mmap,
    MapPages,
    OrderFallback,
    Discarded,
}

/// Whether this module counts.
pub(crate) const COUNTED: bool = !cfg!(rmmap_without_statistics);

/// Where the counters of events begin, behind those of faults.
const EVENTS: usize = ASKED * GIVEN;
/// Where the counters of folios by order begin.
const FOLIOS: usize = EVENTS + Event::Discarded as usize + 1;

/// The counters of a region, or of the device.
pub(crate) struct Counters(Counts<{ FOLIOS + RMMAP_NR_ORDERS }>);

impl Counters {
    /// What they take on each processor, bytes.
    pub(crate) const BYTES: usize = if COUNTED {
        (FOLIOS + RMMAP_NR_ORDERS) * size_of::<u64>()
    } else {
        0
    };

    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Counts::new()?))
    }

    /// Counts a fault with its answer: one addition for both.
    #[inline(always)]
    pub(crate) fn add_fault(&self, asked: Asked, given: Given) {
        self.0.add(asked.0 * GIVEN + given as usize, 1);
    }

    /// Counts `n` of `event`.
    #[inline(always)]
    pub(crate) fn add(&self, event: Event, n: u64) {
        self.0.add(EVENTS + event as usize, n);
    }

    /// Counts `n` folios of `order` that were added.
    #[inline(always)]
    pub(crate) fn add_folios(&self, order: u32, n: u64) {
        let order = (order as usize).min(RMMAP_NR_ORDERS - 1);
        self.0.add(FOLIOS + order, n);
    }

    /// Returns the sums over all CPUs; zeroes where nothing is [`COUNTED`].
    pub(crate) fn read(&self) -> RmmapCounters {
        let event = |event: Event| self.0.sum(EVENTS + event as usize);
        let fault = |asked: usize, given: usize| self.0.sum(asked * GIVEN + given);
        let asked = |asked: usize| (0..GIVEN).map(|given| fault(asked, given)).sum::<u64>();
        let given = |given: Given| {
            let faults = (0..ASKED).map(|asked| fault(asked, given as usize));
            faults.sum::<u64>()
        };
        let of = |kind: usize| asked(2 * kind) + asked(2 * kind + 1);
        RmmapCounters {
            mmap: event(Event::Mmap),
            fault_read: of(READ),
            fault_write: of(WRITE),
            fault_cow: of(COW),
            fault_populate: (READ..=COW).map(|kind| asked(2 * kind + 1)).sum(),
            answer_cached: given(Given::Cached),
            answer_new: given(Given::New),
            answer_zero: given(Given::Zero),
            answer_sigbus: given(Given::Sigbus),
            answer_oom: given(Given::Oom),
            // The driver gives none; the core retries by itself where it must.
            answer_retry: 0,
            map_pages: event(Event::MapPages),
            folios: core::array::from_fn(|order| self.0.sum(FOLIOS + order)),
            order_fallback: event(Event::OrderFallback),
            discarded: event(Event::Discarded),
        }
    }
}

/// Counters that are compiled out: no memory, no code.
#[cfg(rmmap_without_statistics)]
struct Counts<const N: usize>;

#[cfg(rmmap_without_statistics)]
impl<const N: usize> Counts<N> {
    fn new() -> Result<Self> {
        Ok(Self)
    }

    #[inline(always)]
    fn add(&self, _index: usize, _n: u64) {}

    fn sum(&self, _index: usize) -> u64 {
        0
    }
}
