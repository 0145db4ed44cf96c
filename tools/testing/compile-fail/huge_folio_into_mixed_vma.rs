// SPDX-License-Identifier: GPL-2.0

//! Folios of the page cache go into plain VMAs only: in a mixed VMA the core does not uncount the
//! pages that it zaps when it splits a huge page.

//~ ERROR E0599
//~ MESSAGE the method `insert_folio` exists

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::vm::{
    fault::Answer,
    huge_fault::HugeFault,
    ops::VmOperations,
    vma::Mixed, //
};

/// The driver's mappings.
struct Vm;

#[vtable]
impl VmOperations for Vm {
    type OwnerModule = common::Owner;
    type Data = common::MemoryRef;
    type Private = ();
    type Kind = Mixed;
    type Atomic = common::Memory;

    fn atomic(data: &Self::Data) -> &Self::Atomic {
        data
    }

    fn huge_fault(vmf: HugeFault<'_, Self>) -> Answer<'_> {
        match vmf.data().mapping().lock_folio(vmf.first_pgoff()) {
            Some(folio) => vmf.insert_folio(folio),
            None => vmf.fallback(),
        }
    }
}
