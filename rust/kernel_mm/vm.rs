// SPDX-License-Identifier: GPL-2.0

//! Mappings: VMAs, their operations and their page faults.

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
