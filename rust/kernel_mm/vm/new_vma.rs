// SPDX-License-Identifier: GPL-2.0

//! A VMA while the `mmap` hook sets it up.
//!
//! `mmap` is the older of the two hooks. It gets the VMA itself, where `mmap_prepare` gets a
//! [`VmAreaDesc`](crate::mm::vm::vm_area_desc::VmAreaDesc) of a future one.
//!
//! C header: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h)

use crate::{
    bindings,
    error::to_result,
    mm::{
        virt::{
            flags as vm,
            vm_flags_t, //
        },
        vm::{
            ops::VmOperations,
            pages::PageBlock,
            vma::{
                DriverVma,
                Pfn, //
            }, //
        }, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};
use core::{
    cell::Cell,
    marker::PhantomData,
    ops::Deref, //
};

/// A VMA of this driver that its `mmap` hook sets up. The mmap write lock is held, and nobody else
/// can see the VMA.
///
/// `'f` stands for the life of the file: a reference with this lifetime is valid at least as long
/// as the file, and so as long as every VMA of it. Only the file's data and statics can provide
/// such references.
///
/// # Invariants
///
/// The `mmap` hook is setting up `vma`: the mmap write lock is held, and `vma` is in no tree yet.
pub struct NewVma<'f, V: VmOperations> {
    vma: &'f DriverVma<V>,
    /// The address below which page frames may already be mapped.
    filled: Cell<usize>,
    // Invariant in 'f, so that a shorter lifetime is not accepted.
    _file: PhantomData<fn(&'f ()) -> &'f ()>,
}

impl<V: VmOperations> Deref for NewVma<'_, V> {
    type Target = DriverVma<V>;

    fn deref(&self) -> &DriverVma<V> {
        self.vma
    }
}

impl<'f, V: VmOperations> NewVma<'f, V> {
    /// Wraps a VMA that is being set up.
    ///
    /// # Safety
    ///
    /// The type invariants hold; `'f` is not longer than the life of the VMA's file.
    pub(crate) unsafe fn from_raw(vma: *const bindings::vm_area_struct) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            // SAFETY: By the contract of this function.
            vma: unsafe { DriverVma::from_raw(vma) },
            filled: Cell::new(0),
            _file: PhantomData,
        }
    }

    /// Returns the data of the file, for the life of the file.
    #[inline]
    pub fn file_data(&self) -> &'f V::Data {
        self.vma.data()
    }

    fn set(&self, flags: vm_flags_t) {
        // SAFETY: By the type invariants the mmap write lock is held and the VMA is in no tree yet,
        // which `vm_flags_set()` requires.
        unsafe { bindings::vm_flags_set(self.as_raw(), flags) };
    }

    /// Leaves the VMA out of core dumps.
    #[inline]
    pub fn set_dontdump(&self) {
        self.set(vm::DONTDUMP);
    }

    /// Keeps fork(2) from copying the VMA to the child.
    #[inline]
    pub fn set_dontcopy(&self) {
        self.set(vm::DONTCOPY);
    }

    /// Keeps mremap(2) from making the VMA larger. Such a VMA never merges (`VM_SPECIAL`).
    #[inline]
    pub fn set_dontexpand(&self) {
        self.set(vm::DONTEXPAND);
    }

    /// Marks accesses to the VMA as having side effects: populate and core dumps skip it. Such a
    /// VMA never merges (`VM_SPECIAL`).
    #[inline]
    pub fn set_io(&self) {
        self.set(vm::IO);
    }

    /// Makes sure that the VMA can never be written through: mprotect(2) refuses it.
    ///
    /// # Errors
    ///
    /// `EPERM` when it was mapped for writing.
    pub fn deny_write(&self) -> Result {
        if self.is_writable() {
            return Err(EPERM);
        }
        // SAFETY: As in `set`.
        unsafe { bindings::vm_flags_clear(self.as_raw(), vm::MAYWRITE) };
        Ok(())
    }
}

impl<'f, V: VmOperations<Kind = Pfn>> NewVma<'f, V> {
    /// Maps `pages` page frames of `block`, starting at its page `first`, at `address`. May sleep.
    ///
    /// Several calls can fill a VMA, from lower addresses to higher.
    ///
    /// # Errors
    ///
    /// `EINVAL` when block or VMA is too small, when the range does not lie above that of an
    /// earlier call, or when a private mapping that may be written would not be mapped as a whole
    /// (`remap_pfn_range()` requires it); `ENOMEM`.
    pub fn remap(
        &self,
        address: usize,
        block: &'f PageBlock,
        first: usize,
        pages: usize,
    ) -> Result {
        let len = pages.checked_mul(PAGE_SIZE).ok_or(EINVAL)?;
        let above = address >= self.filled.get();
        if !above || !self.contains(address, len) || address % PAGE_SIZE != 0 || pages == 0 {
            return Err(EINVAL);
        }
        let pfn = block.pfn_of_range(first, pages).ok_or(EINVAL)?;
        // SAFETY: By the type invariants the VMA is valid.
        let prot = unsafe { (*self.as_raw()).vm_page_prot };
        self.filled.set(address + len);
        // SAFETY: The VMA is `VM_PFNMAP` and being set up, the range lies within it, and the frames
        // live as long as the file, which the VMA holds.
        to_result(unsafe { bindings::remap_pfn_range(self.as_raw(), address, pfn, len, prot) })
    }
}
