// SPDX-License-Identifier: GPL-2.0

//! Reference-counted pages go into a VMA of their kind only.

//~ ERROR E0599
//~ MESSAGE insert_pages

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::vm::{
    ops::VmOperations,
    pages::PageList,
    vma::{
        DriverVma,
        Pfn, //
    }, //
};

/// Inserts into a VMA of page frames.
pub fn insert<V: VmOperations<Kind = Pfn>>(vma: &DriverVma<V>, pages: &PageList) -> Result {
    vma.insert_pages(vma.start(), pages)
}
