// SPDX-License-Identifier: GPL-2.0

//! The description of a future mapping, which `mmap_prepare` reads and changes.
//!
//! The hook runs before the kernel knows whether the mapping merges with a neighbour. It should
//! therefore keep nothing per mapping: take no reference, and allocate and count nothing. To map
//! pages at once it sets an action, which the core carries out when the VMA exists.
//!
//! C header: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h); documentation:
//! [`filesystems/mmap_prepare.rst`](srctree/Documentation/filesystems/mmap_prepare.rst)

use crate::{
    bindings,
    mm::{
        file_state::FileState,
        virt::{
            flags as vm,
            vm_flags_t, //
        },
        vm::{
            fault::Invariant,
            ops::VmOperations,
            pages::{
                PageBlock,
                PageList, //
            },
            vma::{
                Mixed,
                Pfn, //
            }, //
        }, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};
use core::marker::PhantomData;

/// A mapping that mmap(2) is about to make. The mmap write lock is held.
///
/// `'f` stands for the life of the file, as in [`NewVma`](crate::mm::vm::new_vma::NewVma).
///
/// # Invariants
///
/// `desc` is valid and accessed through this object only; its file carries `V::Data`.
pub struct VmAreaDesc<'f, V: VmOperations> {
    desc: *mut bindings::vm_area_desc,
    _file: PhantomData<(Invariant<'f>, V)>,
}

impl<'f, V: VmOperations> VmAreaDesc<'f, V> {
    /// Wraps the description that the kernel passes to the hook.
    ///
    /// # Safety
    ///
    /// The type invariants hold until the hook returns.
    pub(crate) unsafe fn from_raw(desc: *mut bindings::vm_area_desc) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            desc,
            _file: PhantomData,
        }
    }

    /// Returns the data of the file, for the life of the file.
    #[inline]
    pub fn file_data(&self) -> &'f V::Data {
        // SAFETY: By the type invariants.
        unsafe { FileState::borrow((*self.desc).file) }
    }

    /// Returns the first address of the mapping.
    #[inline]
    pub fn start(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.desc).start }
    }

    /// Returns the address after the mapping.
    #[inline]
    pub fn end(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.desc).end }
    }

    /// Returns the length of the mapping, in pages.
    #[inline]
    pub fn pages(&self) -> usize {
        (self.end() - self.start()) / PAGE_SIZE
    }

    /// Returns the offset of the mapping's first page within the file, in pages.
    #[inline]
    pub fn pgoff(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.desc).pgoff }
    }

    /// Returns the `VM_*` flags, as in [`crate::mm::virt::flags`].
    #[inline]
    pub fn flags(&self) -> vm_flags_t {
        // SAFETY: By the type invariants. The first word of the map has the bits of `VM_*`
        // (`DECLARE_VMA_BIT()` in include/linux/mm.h).
        unsafe { (*self.desc).vma_flags.__vma_flags[0] }
    }

    /// Returns whether the mapping is shared (`VM_MAYSHARE`).
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.flags() & bindings::VM_MAYSHARE != 0
    }

    /// Returns whether the mapping is writable from the start (`VM_WRITE`).
    #[inline]
    pub fn is_writable(&self) -> bool {
        self.flags() & vm::WRITE != 0
    }

    #[inline]
    pub(crate) fn set(&mut self, flags: vm_flags_t) {
        // SAFETY: By the type invariants.
        unsafe { (*self.desc).vma_flags.__vma_flags[0] |= flags };
    }

    /// Leaves the VMA out of core dumps.
    #[inline]
    pub fn set_dontdump(&mut self) {
        self.set(vm::DONTDUMP);
    }

    /// Keeps fork(2) from copying the VMA to the child.
    #[inline]
    pub fn set_dontcopy(&mut self) {
        self.set(vm::DONTCOPY);
    }

    /// Keeps mremap(2) from making the VMA larger. Such a VMA never merges (`VM_SPECIAL`).
    #[inline]
    pub fn set_dontexpand(&mut self) {
        self.set(vm::DONTEXPAND);
    }

    /// Makes sure that the mapping can never be written through: mprotect(2) refuses it.
    ///
    /// # Errors
    ///
    /// `EPERM` when it is mapped for writing.
    pub fn deny_write(&mut self) -> Result {
        if self.is_writable() {
            return Err(EPERM);
        }
        // SAFETY: By the type invariants.
        unsafe { (*self.desc).vma_flags.__vma_flags[0] &= !vm::MAYWRITE };
        Ok(())
    }

    /// Checks that `pages` pages at `address` lie within the mapping, and returns their length in
    /// bytes.
    fn check_range(&self, address: usize, pages: usize) -> Result<usize> {
        let len = pages.checked_mul(PAGE_SIZE).ok_or(EINVAL)?;
        let end = address.checked_add(len).ok_or(EINVAL)?;
        if pages == 0 || address % PAGE_SIZE != 0 || address < self.start() || end > self.end() {
            return Err(EINVAL);
        }
        Ok(len)
    }
}

impl<'f, V: VmOperations<Kind = Mixed>> VmAreaDesc<'f, V> {
    /// Maps `pages` from `address` on when the VMA exists, each with a reference of its own
    /// (`mmap_action_map_kernel_pages()`).
    ///
    /// # Errors
    ///
    /// `EINVAL` when they do not fit.
    pub fn map_pages(&mut self, address: usize, pages: &'f PageList) -> Result {
        self.check_range(address, pages.len())?;
        let mut action: bindings::mmap_action = pin_init::zeroed();
        action.type_ = bindings::mmap_action_type_MMAP_MAP_KERNEL_PAGES;
        action.__bindgen_anon_1.map_kernel = bindings::mmap_action__bindgen_ty_1__bindgen_ty_3 {
            start: address,
            pages: pages.as_raw(),
            nr_pages: pages.len(),
            pgoff: self.pgoff(),
        };
        // SAFETY: By the type invariants. The list and its pages live as long as the file.
        unsafe { (*self.desc).action = action };
        Ok(())
    }

    /// Fills the whole mapping with `pages` when the VMA exists, from the first page on
    /// (`mmap_action_map_kernel_pages_full()`).
    ///
    /// # Errors
    ///
    /// `EINVAL` when the mapping does not have as many pages.
    pub fn map_pages_full(&mut self, pages: &'f PageList) -> Result {
        if pages.len() != self.pages() {
            return Err(EINVAL);
        }
        self.map_pages(self.start(), pages)
    }
}

impl<'f, V: VmOperations<Kind = Pfn>> VmAreaDesc<'f, V> {
    /// Maps `pages` page frames of `block`, starting at its page `first`, at `address` when the VMA
    /// exists (`mmap_action_remap()`).
    ///
    /// # Errors
    ///
    /// `EINVAL` when block or mapping is too small.
    pub fn remap(
        &mut self,
        address: usize,
        block: &'f PageBlock,
        first: usize,
        pages: usize,
    ) -> Result {
        let len = self.check_range(address, pages)?;
        let pfn = block.pfn_of_range(first, pages).ok_or(EINVAL)?;
        let mut action: bindings::mmap_action = pin_init::zeroed();
        action.type_ = bindings::mmap_action_type_MMAP_REMAP_PFN;
        action.__bindgen_anon_1.remap = bindings::mmap_action__bindgen_ty_1__bindgen_ty_1 {
            start: address,
            start_pfn: pfn,
            size: len,
            // SAFETY: By the type invariants.
            pgprot: unsafe { (*self.desc).page_prot },
        };
        // SAFETY: By the type invariants. The frames live as long as the file.
        unsafe { (*self.desc).action = action };
        Ok(())
    }

    /// Fills the whole mapping with page frames of `block` when the VMA exists, starting at its
    /// page `first` (`mmap_action_remap_full()`).
    ///
    /// # Errors
    ///
    /// `EINVAL` when the block is too small.
    #[inline]
    pub fn remap_full(&mut self, block: &'f PageBlock, first: usize) -> Result {
        self.remap(self.start(), block, first, self.pages())
    }

    /// Fills the mapping with `block` when the VMA exists, at the mapping's own offset: page `n` of
    /// the file is page `n` of the block (`mmap_action_simple_ioremap()`).
    ///
    /// # Errors
    ///
    /// `EINVAL` when the mapping reaches past the end of the block.
    #[inline]
    pub fn remap_simple(&mut self, block: &'f PageBlock) -> Result {
        self.remap_full(block, self.pgoff())
    }
}
