// SPDX-License-Identifier: GPL-2.0

//! What upstream's [`VmaRef`] does not tell about a VMA.
//!
//! C header: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h)

use kernel::mm::virt::VmaRef;

/// Further facts about a VMA.
pub trait VmaExt {
    /// Returns the offset of the VMA's first page within its file, in pages.
    fn pgoff(&self) -> usize;

    /// Returns the length of the VMA, in pages.
    fn pages(&self) -> usize;
}

impl VmaExt for VmaRef {
    fn pgoff(&self) -> usize {
        // SAFETY: By the invariants of `VmaRef` the VMA is valid, and a lock that keeps its extent
        // as it is is held.
        unsafe { (*self.as_ptr()).vm_pgoff }
    }

    fn pages(&self) -> usize {
        (self.end() - self.start()) / kernel::page::PAGE_SIZE
    }
}
