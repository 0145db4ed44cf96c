// SPDX-License-Identifier: GPL-2.0

//! The page order of a VMA must be one that a page table can map: the size in bytes of a larger
//! order would wrap around.

//~ ERROR E0080
//~ MESSAGE evaluation of `kernel_mm::vm::table::VmTable::<Vm>::PAGE_ORDER_IS_VALID` failed

#[path = "common.rs"]
mod common;

use kernel::{
    fs::File,
    prelude::*,
    sync::aref::ARef, //
};
use kernel_mm::{
    file::{
        anon_inode,
        ops::{
            FileOperations,
            Hook, //
        }, //
    },
    vm::{
        ops::VmOperations,
        vm_area_desc::VmAreaDesc,
        vma::Plain, //
    }, //
};

/// The driver's mappings.
struct Vm;

#[vtable]
impl VmOperations for Vm {
    type OwnerModule = common::Owner;
    type Data = ();
    type Private = ();
    type Kind = Plain;
    type Atomic = ();

    const PAGE_ORDER: u32 = 52;

    fn atomic(data: &()) -> &() {
        data
    }
}

/// The driver's files.
struct Files;

#[vtable]
impl FileOperations for Files {
    type OwnerModule = common::Owner;
    type Data = ();
    type Vm = Vm;

    fn mmap_prepare(_file: &File, _desc: &mut VmAreaDesc<'_, Vm>) -> Result {
        Ok(())
    }
}

/// Opens a file, which needs an instance of the table.
pub fn file() -> Result<ARef<File>> {
    anon_inode::create_file::<Files>(c"[case]", Hook::MmapPrepare, ())
}
