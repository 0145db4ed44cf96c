// SPDX-License-Identifier: GPL-2.0

//! Only one's own VMA can be zapped.

//~ ERROR E0599
//~ MESSAGE no method named `zap` found for reference `&Vma`

#[path = "common.rs"]
mod common;

use kernel::{
    mm::virt::VmaRef,
    prelude::*, //
};
use kernel_mm::vm::vma::Vma;

/// Looks a VMA up, and does not ask whose it is.
pub fn zap(found: &VmaRef) -> Result {
    let vma = Vma::from_ref(found);
    vma.zap(vma.start(), 4096)
}
