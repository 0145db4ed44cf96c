// SPDX-License-Identifier: GPL-2.0

//! Page frames go into a VMA of their kind only.

//~ ERROR E0599
//~ MESSAGE insert_pfn

#[path = "common.rs"]
mod common;

use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_mm::vm::{
    fault::{
        Answer,
        VmFault, //
    },
    ops::VmOperations,
    pages::PageBlock,
    vma::Plain, //
};

/// The driver's mappings.
struct Vm;

#[vtable]
impl VmOperations for Vm {
    type OwnerModule = common::Owner;
    type Data = Arc<PageBlock>;
    type Private = ();
    type Kind = Plain;
    type Atomic = PageBlock;

    fn atomic(data: &Self::Data) -> &Self::Atomic {
        data
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        let block = vmf.data();
        vmf.insert_pfn(block, 0)
    }
}
