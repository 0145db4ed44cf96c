// SPDX-License-Identifier: GPL-2.0

//! What is counted, per region and for the device.
//!
//! Counters are per CPU, so that counting costs two instructions a fault and shares no cache line.
//! A module that is built with `STATS=n` has none at all: what they cost is the difference. It says
//! so ([`COUNTED`]) instead of showing zeroes to programs.

use kernel::prelude::*;
#[cfg(not(rmmap_without_statistics))]
use kernel_mm::percpu::PerCpuCounters as Counts;
use rmmap_uapi::{
    RmmapCounters,
    RMMAP_NR_ORDERS, //
};

/// One thing that is counted; the fields of [`RmmapCounters`] in their order.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    Mmap,
    FaultRead,
    FaultWrite,
    FaultCow,
    FaultPopulate,
    AnswerCached,
    AnswerNew,
    AnswerZero,
    AnswerSigbus,
    AnswerOom,
    AnswerRetry,
    MapPages,
    OrderFallback,
    Discarded,
}

/// Whether this module counts.
pub(crate) const COUNTED: bool = !cfg!(rmmap_without_statistics);

const EVENTS: usize = Event::Discarded as usize + 1;

/// The counters of a region, or of the device.
pub(crate) struct Counters(Counts<{ EVENTS + RMMAP_NR_ORDERS }>);

impl Counters {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Counts::new()?))
    }

    /// Counts `n` of `event`.
    #[inline(always)]
    pub(crate) fn add(&self, event: Event, n: u64) {
        self.0.add(event as usize, n);
    }

    /// Counts `n` folios of `order` that were added.
    #[inline(always)]
    pub(crate) fn add_folios(&self, order: u32, n: u64) {
        self.0
            .add(EVENTS + (order as usize).min(RMMAP_NR_ORDERS - 1), n);
    }

    /// Returns the sums over all CPUs; zeroes where nothing is [`COUNTED`].
    pub(crate) fn read(&self) -> RmmapCounters {
        let get = |event: Event| self.0.sum(event as usize);
        RmmapCounters {
            mmap: get(Event::Mmap),
            fault_read: get(Event::FaultRead),
            fault_write: get(Event::FaultWrite),
            fault_cow: get(Event::FaultCow),
            fault_populate: get(Event::FaultPopulate),
            answer_cached: get(Event::AnswerCached),
            answer_new: get(Event::AnswerNew),
            answer_zero: get(Event::AnswerZero),
            answer_sigbus: get(Event::AnswerSigbus),
            answer_oom: get(Event::AnswerOom),
            answer_retry: get(Event::AnswerRetry),
            map_pages: get(Event::MapPages),
            folios: core::array::from_fn(|order| self.0.sum(EVENTS + order)),
            order_fallback: get(Event::OrderFallback),
            discarded: get(Event::Discarded),
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
