// SPDX-License-Identifier: GPL-2.0

//! Remembers which folios could be had last, so that others are not asked for in vain.
//!
//! Where memory is in pieces, or a limit is near, each order that is tried costs as much as half a
//! page fault, and there are nine. So what could be had is where the next one begins, and each
//! success puts it up by one order. While nothing is scarce it is never written.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// The largest order that is worth trying, in one region.
///
/// Threads race for it; what is lost is a guess.
pub(crate) struct Reach(Atomic<u32>);

impl Reach {
    pub(crate) fn new() -> Self {
        Self(Atomic::new(u32::MAX))
    }

    /// Returns the largest order that is worth trying.
    pub(crate) fn order(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// A folio of `order` was had; `fell_back` tells that there was room for a larger one.
    pub(crate) fn record(&self, order: u32, fell_back: bool) {
        if fell_back {
            // What was tried is what could be had, or more.
            let next = if order < self.order() {
                order
            } else {
                order + 1
            };
            self.0.store(next, Relaxed);
        }
    }
}
