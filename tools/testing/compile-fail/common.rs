// SPDX-License-Identifier: GPL-2.0

//! The common parts of the cases' drivers: an owner for their tables, and file data.

use kernel::{
    module::ModuleMetadata,
    prelude::*,
    sync::aref::ARef, //
};
use kernel_mm::cache::inode::{
    Inode,
    InodeData, //
};

/// The module of a case, which is compiled and never run.
pub(crate) struct Owner;

impl ModuleMetadata for Owner {
    const NAME: &'static CStr = c"case";
    // SAFETY: Never used: the case is not linked.
    const THIS_MODULE: ThisModule = unsafe { ThisModule::from_ptr(core::ptr::null_mut()) };
}

/// Data of an inode.
pub(crate) struct Memory;

impl InodeData for Memory {
    fn may_resize(&self, _size: u64) -> Result {
        Ok(())
    }

    fn pages_removed(&self, _pages: usize) {}
}

/// Data of a file.
pub(crate) type MemoryRef = ARef<Inode<Memory>>;
