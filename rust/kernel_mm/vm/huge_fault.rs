// SPDX-License-Identifier: GPL-2.0

//! Page faults for huge pages: `vm_operations_struct.huge_fault`.
//!
//! A handler for files with a page cache does not need it: when [`VmFault::locked`] answers with a
//! folio of the order of a huge page, the core maps it as one where it fits (`finish_fault()`). But
//! before it calls `map_pages` for a load, the core allocates and zeroes a page table, which a huge
//! page does not need (`do_fault_around()`). A driver avoids that when it maps a resident huge page
//! here.
//!
//! C source: `create_huge_pmd()`, `wp_huge_pmd()` in [`mm/memory.c`](srctree/mm/memory.c),
//! `vmf_insert_folio_pmd()` in [`mm/huge_memory.c`](srctree/mm/huge_memory.c)

use crate::{
    bindings,
    mm::{
        cache::{
            address_space::{
                AddressSpace,
                InvalidateShared, //
            },
            folio::LockedFolio, //
        },
        vm::{
            fault::{
                Answer,
                VmFault, //
            },
            ops::VmOperations,
            vma::{
                DriverVma,
                Plain, //
            }, //
        }, //
    },
    page::PAGE_SIZE, //
};

/// A page fault that may be answered with a huge page.
///
/// # Invariants
///
/// As those of [`VmFault`].
pub struct HugeFault<'a, V: VmOperations> {
    fault: VmFault<'a, V>,
    order: u32,
}

impl<'a, V: VmOperations> HugeFault<'a, V> {
    /// Wraps the arguments of `huge_fault`.
    ///
    /// # Safety
    ///
    /// As for [`VmFault::from_raw`]; `order` is what the core passed.
    pub(crate) unsafe fn from_raw(vmf: *mut bindings::vm_fault, order: u32) -> Self {
        Self {
            // SAFETY: By the contract of this function.
            fault: unsafe { VmFault::from_raw(vmf) },
            order,
        }
    }

    /// Returns a reference to the fault.
    #[inline]
    pub fn as_fault(&self) -> &VmFault<'a, V> {
        &self.fault
    }

    /// Returns the order of the huge page.
    #[inline]
    pub fn order(&self) -> u32 {
        self.order
    }

    /// Returns the index within the file of the first page that the huge page would map.
    ///
    /// It is a multiple of the number of pages in the huge page only if VMA and file are aligned to
    /// each other.
    #[inline]
    pub fn first_pgoff(&self) -> usize {
        let within = (self.fault.address() / PAGE_SIZE) & ((1 << self.order) - 1);
        self.fault.pgoff().wrapping_sub(within)
    }

    /// Returns the VMA that the address lies in.
    #[inline]
    pub fn vma(&self) -> &DriverVma<V> {
        self.fault.vma()
    }

    /// Returns the data of the file that is mapped, for the life of the file.
    #[inline]
    pub fn data(&self) -> &'a V::Data {
        self.fault.data()
    }

    /// Takes the invalidate lock as [`VmFault::invalidate_lock_shared`] does.
    #[inline]
    pub fn invalidate_lock_shared<'m>(&self, mapping: &'m AddressSpace) -> InvalidateShared<'m>
    where
        'a: 'm,
    {
        self.fault.invalidate_lock_shared(mapping)
    }

    /// Leaves the fault to [`VmOperations::fault`], which the core calls next
    /// (`VM_FAULT_FALLBACK`).
    #[inline]
    pub fn fallback(self) -> Answer<'a> {
        self.fault
            .answer(bindings::vm_fault_reason_VM_FAULT_FALLBACK)
    }
}

impl<'a, V: VmOperations<Kind = Plain>> HugeFault<'a, V> {
    /// Answers with a folio of the mapped file that has the order of the huge page
    /// (`vmf_insert_folio_pmd()`); a write fault maps it writable.
    ///
    /// Falls back to [`VmOperations::fault`] for a folio of another order or place, a folio with a
    /// page whose memory has failed (`do_set_pmd()` refuses it, too), a VMA that does not hold the
    /// whole huge page, a write to a private mapping, and an order other than that of a PMD.
    pub fn insert_folio(self, folio: LockedFolio<'_>) -> Answer<'a> {
        // A kernel without huge pages does not have the function, and never calls `huge_fault`
        // (`thp_vma_allowable_orders()` in include/linux/huge_mm.h).
        #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
        if self.fits(&folio) {
            let (vmf, write) = (self.fault.as_raw(), self.fault.is_write());
            // SAFETY: By the type invariants the fault is valid. The folio is locked. As `fits()`
            // just checked, it has the size of a PMD, belongs to the mapped file, and lies where
            // the VMA maps it, which has room for all of it. `insert_pmd()` takes a reference for
            // the mapping.
            let ret = unsafe { bindings::vmf_insert_folio_pmd(vmf, folio.as_raw(), write) };
            return Answer::from_raw(ret);
        }
        drop(folio);
        self.fallback()
    }

    /// Returns whether [`HugeFault::insert_folio`] maps `folio`.
    pub fn fits(&self, folio: &LockedFolio<'_>) -> bool {
        let span = PAGE_SIZE << self.order;
        let start = self.fault.address() & !(span - 1);
        folio.order() == self.order
            && self.order == bindings::PMD_ORDER
            && folio.is_uptodate()
            && !folio.has_hwpoisoned_page()
            && folio.mapping() == self.fault.mapping().as_raw()
            && folio.starts_at(self.first_pgoff())
            && self.vma().contains(start, span)
            && (!self.fault.is_write() || self.vma().is_shared())
    }
}
