// SPDX-License-Identifier: GPL-2.0

//! The counters, per region and for the device.
//!
//! Counters are shared by all CPUs at first, and become per-CPU once many events are expected
//! ([`Counts`]), so that counting shares no cache line. A module that is built with `STATS=n` has
//! no counters: comparing both shows their cost. It reports that ([`COUNTED`]) instead of showing
//! zeroes to programs.

use kernel::prelude::*;
#[cfg(not(rmmap_without_statistics))]
use kernel::sync::{
    atomic::{
        Atomic,
        Relaxed, //
    },
    SetOnce, //
};
#[cfg(not(rmmap_without_statistics))]
use kernel_mm::percpu::PerCpuCounters;
use kernel_mm::vm::{
    fault::VmFault,
    ops::VmOperations, //
};
use rmmap_uapi::{
    RmmapCounters,
    RMMAP_NR_ORDERS, //
};

/// The kind of a fault: read, write or copy on write, by an access or by `get_user_pages()`.
#[derive(Clone, Copy)]
pub(crate) struct FaultKind(usize);

/// The number of kinds.
const KINDS: usize = 2 * COW + 2;

const READ: usize = 0;
const WRITE: usize = 1;
const COW: usize = 2;

impl FaultKind {
    /// Returns the kind of a fault.
    #[inline(always)]
    pub(crate) fn of<V: VmOperations>(vmf: &VmFault<'_, V>) -> Self {
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

/// The outcome of a fault, with the number that it has in `rmmap_trace.h`.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// The page was in the page cache.
    Cached = 0,
    /// The fault added the page.
    New = 1,
    /// A private write to a hole copies the page of zeroes.
    Zero = 2,
    /// `SIGBUS`: the page lies past EOF, or an access finds no memory.
    Sigbus = 3,
    /// `get_user_pages()` finds no memory.
    Oom = 4,
}

/// The counter of faults that added a single page, which counts the page as well: there is a fault
/// for each page of a random touch, and one addition for both is all it costs.
const NEW_PAGE: usize = Outcome::Oom as usize + 1;

/// The number of counters of each kind of fault.
const OUTCOMES: usize = NEW_PAGE + 1;

impl Outcome {
    /// Returns the outcome of a fault that [`VmFault::no_memory`] answers.
    pub(crate) fn no_memory<V: VmOperations>(vmf: &VmFault<'_, V>) -> Self {
        match vmf.is_access() {
            true => Self::Sigbus,
            false => Self::Oom,
        }
    }
}

/// An event besides faults and added folios.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    Mmap,
    MapPages,
    OrderFallback,
    Discarded,
}

/// Whether this module counts.
pub(crate) const COUNTED: bool = !cfg!(rmmap_without_statistics);

/// The index of the first counter of events, after those of faults.
const EVENTS: usize = KINDS * OUTCOMES;
/// The index of the first counter of folios by order.
const FOLIOS: usize = EVENTS + Event::Discarded as usize + 1;

/// The counters of a region, or of the device.
pub(crate) struct Counters(Counts<{ FOLIOS + RMMAP_NR_ORDERS }>);

impl Counters {
    /// The memory that they take on each CPU, bytes.
    pub(crate) const BYTES: usize = if COUNTED {
        (FOLIOS + RMMAP_NR_ORDERS) * size_of::<u64>()
    } else {
        0
    };

    /// Returns counters that are all zero.
    pub(crate) fn new() -> Self {
        Self(Counts::new())
    }

    /// Switches to per-CPU counters, unless there is no memory for them. May sleep.
    pub(crate) fn spread(&self) {
        self.0.spread();
    }

    /// Counts a new mapping of `pages` pages. May sleep.
    pub(crate) fn count_mmap(&self, pages: usize) {
        /// A mapping of more pages may take many faults, and so may more mappings.
        const MANY: usize = 16;

        self.count_n(Event::Mmap, 1);
        // Summing up the counters of all CPUs at each mapping would defeat their purpose.
        if self.0.is_spread() {
            return;
        }
        if pages > MANY || self.0.sum(EVENTS + Event::Mmap as usize) > MANY as u64 {
            self.spread();
        }
    }

    /// Counts a fault by kind and outcome, and the folio of `order` that a new page is in.
    #[inline(always)]
    pub(crate) fn count_fault(&self, kind: FaultKind, outcome: Outcome, order: u32) {
        let counter = match (outcome, order) {
            (Outcome::New, 0) => NEW_PAGE,
            (Outcome::New, _) => {
                self.count_folios(order, 1);
                outcome as usize
            }
            _ => outcome as usize,
        };
        self.0.add(kind.0 * OUTCOMES + counter, 1);
    }

    /// Adds `n` to the counter of `event`.
    #[inline(always)]
    pub(crate) fn count_n(&self, event: Event, n: u64) {
        self.0.add(EVENTS + event as usize, n);
    }

    /// Counts `n` folios of `order` that were added.
    #[inline(always)]
    pub(crate) fn count_folios(&self, order: u32, n: u64) {
        let order = (order as usize).min(RMMAP_NR_ORDERS - 1);
        self.0.add(FOLIOS + order, n);
    }

    /// Returns the sums over all CPUs, or zeroes if nothing is [`COUNTED`].
    pub(crate) fn read(&self) -> RmmapCounters {
        let event = |event: Event| self.0.sum(EVENTS + event as usize);
        let fault = |kind: usize, outcome: usize| self.0.sum(kind * OUTCOMES + outcome);
        let kind = |kind: usize| (0..OUTCOMES).map(|o| fault(kind, o)).sum::<u64>();
        let counter = |counter: usize| (0..KINDS).map(|kind| fault(kind, counter)).sum::<u64>();
        let outcome = |outcome: Outcome| counter(outcome as usize);
        let new_pages = counter(NEW_PAGE);
        let both = |access: usize| kind(2 * access) + kind(2 * access + 1);
        RmmapCounters {
            mmap: event(Event::Mmap),
            fault_read: both(READ),
            fault_write: both(WRITE),
            fault_cow: both(COW),
            fault_populate: (READ..=COW).map(|access| kind(2 * access + 1)).sum(),
            answer_cached: outcome(Outcome::Cached),
            answer_new: outcome(Outcome::New) + new_pages,
            answer_zero: outcome(Outcome::Zero),
            answer_sigbus: outcome(Outcome::Sigbus),
            answer_oom: outcome(Outcome::Oom),
            // The driver never returns this; the core retries by itself where it must.
            answer_retry: 0,
            map_pages: event(Event::MapPages),
            folios: core::array::from_fn(|order| {
                self.0.sum(FOLIOS + order) + if order == 0 { new_pages } else { 0 }
            }),
            order_fallback: event(Event::OrderFallback),
            discarded: event(Event::Discarded),
        }
    }
}

/// `N` counters: at first one of each for all CPUs, later one of each per CPU.
///
/// Most regions are small and short-lived. Allocating and freeing per-CPU counters costs such a
/// region as much as its inode does, and takes 22 KiB of memory with 64 CPUs.
#[cfg(not(rmmap_without_statistics))]
struct Counts<const N: usize> {
    /// The counts from before there were per-CPU counters.
    first: [Atomic<u64>; N],
    per_cpu: SetOnce<PerCpuCounters<N>>,
}

#[cfg(not(rmmap_without_statistics))]
impl<const N: usize> Counts<N> {
    fn new() -> Self {
        Self {
            first: [const { Atomic::new(0) }; N],
            per_cpu: SetOnce::new(),
        }
    }

    fn is_spread(&self) -> bool {
        self.per_cpu.as_ref().is_some()
    }

    fn spread(&self) {
        if let Ok(counters) = PerCpuCounters::new() {
            // If another thread was faster, these are freed.
            self.per_cpu.populate(counters);
        }
    }

    #[inline(always)]
    fn add(&self, index: usize, n: u64) {
        match self.per_cpu.as_ref() {
            Some(counters) => counters.add(index, n),
            None => self.add_first(index, n),
        }
    }

    #[cold]
    fn add_first(&self, index: usize, n: u64) {
        if let Some(counter) = self.first.get(index) {
            counter.add(n, Relaxed);
        }
    }

    fn sum(&self, index: usize) -> u64 {
        let first = self.first.get(index).map_or(0, |first| first.load(Relaxed));
        let later = self.per_cpu.as_ref().map_or(0, |later| later.sum(index));
        first.wrapping_add(later)
    }
}

/// Counters that are compiled out: no memory, no code.
#[cfg(rmmap_without_statistics)]
struct Counts<const N: usize>;

#[cfg(rmmap_without_statistics)]
impl<const N: usize> Counts<N> {
    fn new() -> Self {
        Self
    }

    fn is_spread(&self) -> bool {
        true
    }

    fn spread(&self) {}

    #[inline(always)]
    fn add(&self, _index: usize, _n: u64) {}

    fn sum(&self, _index: usize) -> u64 {
        0
    }
}
