// SPDX-License-Identifier: GPL-2.0

//! The size of per-CPU counters does not wrap around: 2^61 + 1 words would be 8 bytes.

//~ ERROR E0080
//~ MESSAGE PerCpuCounters::<2305843009213693953>::LEN

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::percpu::PerCpuCounters;

/// The number of counters whose total size wraps around to 8 bytes.
const MANY: usize = (1 << 61) + 1;

/// An index far beyond the allocation.
const FAR: usize = PerCpuCounters::<MANY>::LEN - 1;

/// Adds to a counter outside of the allocation.
pub fn attack() -> Result {
    PerCpuCounters::<MANY>::new()?.add(FAR, 1);
    Ok(())
}
