// SPDX-License-Identifier: GPL-2.0

//! Mappings: VMAs, what happens to them, and the page faults in them.

pub mod fault;
mod fault_around;
pub mod huge_fault;
pub mod map_pages;
pub mod mkwrite;
pub mod new_vma;
pub mod ops;
pub mod pages;
mod populate;
pub(crate) mod table;
pub mod vm_area_desc;
pub(crate) mod vm_private;
pub mod vma;
