// SPDX-License-Identifier: GPL-2.0

//! The description of a mapping before it exists: what `mmap_prepare` gets to look at and change.
//!
//! The hook runs before the kernel knows whether the mapping merges with a neighbour. It should
//! therefore hold on to nothing: no reference taken, nothing allocated or counted per mapping.
//!
//! C header: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h); documentation:
//! [`Documentation/filesystems/mmap_prepare.rst`](srctree/Documentation/filesystems/mmap_prepare.rst)

use core::marker::PhantomData;
use kernel::{
    bindings,
    page::PAGE_SIZE, //
};

/// A mapping that mmap(2) is about to make. The mmap write lock is held.
///
/// # Invariants
///
/// `desc` is valid for `'a` and accessed through this object only.
pub struct VmAreaDesc<'a> {
    desc: *mut bindings::vm_area_desc,
    _desc: PhantomData<&'a mut bindings::vm_area_desc>,
}

impl VmAreaDesc<'_> {
    /// Wraps the description that the kernel passes to the hook.
    ///
    /// # Safety
    ///
    /// `desc` is valid, and nobody else uses it, for `'a`.
    pub(crate) unsafe fn from_raw(desc: *mut bindings::vm_area_desc) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            desc,
            _desc: PhantomData,
        }
    }

    /// Returns the first address of the mapping.
    pub fn start(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.desc).start }
    }

    /// Returns the address behind the mapping.
    pub fn end(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.desc).end }
    }

    /// Returns the length of the mapping, in pages.
    pub fn pages(&self) -> usize {
        (self.end() - self.start()) / PAGE_SIZE
    }

    /// Returns the offset of the mapping's first page within the file, in pages.
    pub fn pgoff(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.desc).pgoff }
    }
}
