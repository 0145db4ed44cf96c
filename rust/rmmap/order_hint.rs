// SPDX-License-Identifier: GPL-2.0

//! Remembers the largest order that was available, so that orders that recently failed are not
//! retried.
//!
//! Where memory is fragmented, or a limit is near, each failed order costs as much as half a page
//! fault, and there are nine or more. So the next allocation starts at the order that was available
//! last, and each success raises the hint by one order. While memory is plentiful the hint is not
//! written.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// The largest order that is worth trying, in one region.
///
/// Updates race benignly; a lost one only makes the hint stale.
///
/// The hint has a cache line of its own: under memory pressure each fault writes it, while every
/// fault reads the neighbouring fields.
#[repr(align(64))]
pub(crate) struct OrderHint(Atomic<u32>);

impl OrderHint {
    /// Returns a hint that sets no limit.
    pub(crate) fn new() -> Self {
        Self(Atomic::new(u32::MAX))
    }

    /// Returns the largest order that is worth trying.
    pub(crate) fn order(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// Records that a folio of `order` was allocated; `fell_back` tells whether a larger one would
    /// fit.
    pub(crate) fn record(&self, order: u32, fell_back: bool) {
        if fell_back {
            // Only orders up to the hint were tried: one that failed lowers it, and a success at
            // the hint raises it.
            let next = if order < self.order() {
                order
            } else {
                order + 1
            };
            self.0.store(next, Relaxed);
        }
    }
}
