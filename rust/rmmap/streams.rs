// SPDX-License-Identifier: GPL-2.0

//! Recognises that a region is touched page after page, by remembering where the memory that was
//! added last ends.
//!
//! A stream is believed in after [`PATIENCE`] faults; from then on each brings twice as much as the
//! one before, as readahead does. It is remembered for each stretch of [`STRETCH`] pages, as far as
//! there are slots: so streams in different places do not disturb each other. A slot that two of
//! them share costs them larger folios, nothing else.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use kernel_mm::cache::address_space::AddressSpace;

/// Pages that share a slot: those of the largest folio.
const STRETCH: usize = 512;

/// Number of slots, a power of two.
const SLOTS: usize = 16;

/// Bits of a slot that hold the level; the others hold the page where the stream goes on.
const LEVEL_BITS: u32 = 5;

/// Faults in order after which the next one is expected: 64 KiB, the window in which the core maps
/// neighbours of its own accord (`fault_around_bytes`).
const PATIENCE: u32 = 16;

/// The highest level: 2^9 pages are the largest folio.
const TOP: u32 = PATIENCE + 9;

/// Where streams of touches are, in one region.
///
/// Threads race for the slots; what is lost is a guess.
pub(crate) struct Streams([Atomic<u64>; SLOTS]);

impl Streams {
    pub(crate) fn new() -> Self {
        // No stream goes on at page 0.
        Self(core::array::from_fn(|_| Atomic::new(0)))
    }

    /// Returns how far a stream has come that goes on at page `index`: 0 when there is none, and
    /// one more with each fault.
    pub(crate) fn level(&self, index: usize) -> u32 {
        match index.checked_sub(1) {
            None => 0,
            Some(before) => {
                let slot = self.slot(before).load(Relaxed);
                if slot >> LEVEL_BITS == index as u64 {
                    (slot as u32 & ((1 << LEVEL_BITS) - 1)) + 1
                } else {
                    0
                }
            }
        }
        .min(TOP)
    }

    /// Returns how many pages, as a power of two, a fault of a stream at `level` is to bring.
    pub(crate) fn order(level: u32) -> u32 {
        level.saturating_sub(PATIENCE - 1)
    }

    /// Pages of `mapping` were added up to page `end`, exclusive, by a fault that found `level`.
    pub(crate) fn record(&self, mapping: &AddressSpace, end: usize, level: u32) {
        // What is there already makes no fault: the stream goes on behind it. For what may be no
        // stream it is not worth a look.
        let end = match level {
            0 => end,
            _ => mapping.first_missing(end, STRETCH),
        };
        if let Some(last) = end.checked_sub(1) {
            self.slot(last).store(
                (end as u64) << LEVEL_BITS | u64::from(level.min(TOP)),
                Relaxed,
            );
        }
    }

    fn slot(&self, page: usize) -> &Atomic<u64> {
        &self.0[(page / STRETCH) & (SLOTS - 1)]
    }
}
