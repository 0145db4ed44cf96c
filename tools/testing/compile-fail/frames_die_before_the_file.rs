// SPDX-License-Identifier: GPL-2.0

//! Page frames must live as long as the file whose mappings show them.

//~ ERROR E0515
//~ MESSAGE cannot return value referencing local variable `block`

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
    vma::Pfn, //
};

/// The driver's mappings.
struct Vm;

#[vtable]
impl VmOperations for Vm {
    type OwnerModule = common::Owner;
    type Data = Arc<PageBlock>;
    type Private = ();
    type Kind = Pfn;
    type Atomic = PageBlock;

    fn atomic(data: &Self::Data) -> &Self::Atomic {
        data
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        let Ok(block) = PageBlock::new(0) else {
            return vmf.no_memory();
        };
        vmf.insert_pfn(&block, 0)
    }
}
