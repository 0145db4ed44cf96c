// SPDX-License-Identifier: GPL-2.0

//! A driver can zap its own VMAs only.

//~ ERROR E0599
//~ MESSAGE no method named `zap` found for reference `&Vma`

#[path = "common.rs"]
mod common;

use kernel::{
    mm::virt::VmaRef,
    prelude::*, //
};
use kernel_mm::vm::vma::Vma;

/// Looks up a VMA without a check of its owner.
pub fn zap(found: &VmaRef) -> Result {
    let vma = Vma::from_ref(found);
    vma.zap(vma.start(), 4096)
}
