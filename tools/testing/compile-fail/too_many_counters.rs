// SPDX-License-Identifier: GPL-2.0

//! The size of per-CPU counters does not wrap around: 2^61 + 1 words would be 8 bytes.

//~ ERROR E0080
//~ MESSAGE PerCpuCounters::<2305843009213693953>::LEN

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::percpu::PerCpuCounters;

/// So many that eight bytes for each are eight bytes in all.
const MANY: usize = (1 << 61) + 1;

/// Where an addition would go: far beyond the allocation.
const FAR: usize = PerCpuCounters::<MANY>::LEN - 1;

/// Adds where no memory is.
pub fn attack() -> Result {
    PerCpuCounters::<MANY>::new()?.add(FAR, 1);
    Ok(())
}
