// SPDX-License-Identifier: GPL-2.0

//! How much memory the machine has.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use crate::{
    bindings,
    page::PAGE_SIZE, //
};

/// Returns the memory that the kernel manages, in bytes (`totalram_pages()`).
#[inline]
pub fn total_ram_bytes() -> u64 {
    // SAFETY: Reads a counter.
    unsafe { bindings::totalram_pages() as u64 * PAGE_SIZE as u64 }
}
