// SPDX-License-Identifier: GPL-2.0

//! VMAs: ranges of an address space that map something.
//!
//! One C struct, three types that differ in what the holder knows:
//!
//! - [`Vma`]: anybody's VMA, to read.
//! - [`DriverVma<V>`]: a VMA that has the operations of `V`, hence this driver's own. Only this
//!   type can zap and insert pages, which only the owner of a VMA may do.
//! - [`NewVma<V>`](crate::mm::vm::new_vma::NewVma): such a VMA while the `mmap` hook sets it up.
//!
//! The kind of a VMA, which a driver sets with the type [`VmOperations::Kind`], decides the pages
//! that it may hold: page frames without the reference count of a `struct page` in [`Pfn`] VMAs
//! only, pages of the driver's own in [`Mixed`] ones. Methods for another kind do not exist.
//!
//! Upstream's [`VmaRef`] can zap any VMA; that is why these types do not deref to it.
//!
//! Fault handlers read a program's madvise(2) and mlock(2) calls with [`Vma::pattern`],
//! [`Vma::huge`] and [`Vma::is_locked`].
//!
//! C header: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h),
//! [`include/linux/mm.h`](srctree/include/linux/mm.h) (`VM_SEQ_READ` and others); C source:
//! `madvise_vma_behavior()` in [`mm/madvise.c`](srctree/mm/madvise.c)

use crate::{
    bindings,
    error::to_result,
    mm::{
        file_state::FileState,
        virt::{
            flags as vm,
            vm_flags_t,
            VmaRef, //
        },
        vm::{
            ops::VmOperations,
            pages::PageList,
            table::VmTable,
            vm_private, //
        }, //
    },
    page::PAGE_SIZE,
    prelude::*,
    types::Opaque, //
};
use core::{
    marker::PhantomData,
    ops::Deref, //
};

mod private {
    pub trait Sealed {}
}

/// The pages that a VMA may hold.
pub trait Kind: private::Sealed + 'static {
    /// The `VM_*` flags that make a VMA one of this kind.
    #[doc(hidden)]
    const FLAGS: vm_flags_t;
}

/// Folios of the file, mapped by page faults. Such VMAs merge, and can be locked and populated.
pub struct Plain;

/// Pages of the driver's own, mapped by [`DriverVma::insert_pages`] (`VM_MIXEDMAP`). Such VMAs
/// never merge, and mlock(2) has no effect on them (`VM_SPECIAL`).
pub struct Mixed;

/// Page frames without reference counts (`VM_PFNMAP`, `VM_IO`, `VM_DONTEXPAND`, `VM_DONTDUMP`).
/// Such VMAs never merge, populate skips them, and `get_user_pages()` refuses them.
pub struct Pfn;

impl private::Sealed for Plain {}
impl private::Sealed for Mixed {}
impl private::Sealed for Pfn {}

impl Kind for Plain {
    const FLAGS: vm_flags_t = 0;
}

impl Kind for Mixed {
    const FLAGS: vm_flags_t = vm::MIXEDMAP;
}

impl Kind for Pfn {
    const FLAGS: vm_flags_t = vm::PFNMAP | vm::IO | vm::DONTEXPAND | vm::DONTDUMP;
}

/// A VMA of any owner, to read.
///
/// # Invariants
///
/// The VMA is valid, and its extent and flags do not change, for as long as the reference lives:
/// the mmap lock or the VMA's lock is held.
#[repr(transparent)]
pub struct Vma(Opaque<bindings::vm_area_struct>);

impl Vma {
    /// Returns a VMA that was looked up, to read it.
    #[inline]
    pub fn from_ref(vma: &VmaRef) -> &Self {
        // SAFETY: By its invariants a `VmaRef` stands for the mmap lock or the VMA's lock, held for
        // reading or writing; both types are transparent over a `struct vm_area_struct`.
        unsafe { &*vma.as_ptr().cast() }
    }

    /// Returns a raw pointer to the VMA.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::vm_area_struct {
        self.0.get()
    }

    fn as_upstream(&self) -> &VmaRef {
        // SAFETY: By the type invariants the mmap lock or the VMA's lock is held, which is what a
        // `VmaRef` stands for.
        unsafe { VmaRef::from_raw(self.as_raw()) }
    }

    /// Returns the first address.
    #[inline]
    pub fn start(&self) -> usize {
        self.as_upstream().start()
    }

    /// Returns the address after the last.
    #[inline]
    pub fn end(&self) -> usize {
        self.as_upstream().end()
    }

    /// Returns the length, in pages.
    #[inline]
    pub fn pages(&self) -> usize {
        (self.end() - self.start()) / PAGE_SIZE
    }

    /// Returns the offset of the first page within the file, in pages.
    #[inline]
    pub fn pgoff(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.as_raw()).vm_pgoff }
    }

    /// Returns the `VM_*` flags, as in [`crate::mm::virt::flags`].
    #[inline]
    pub fn flags(&self) -> vm_flags_t {
        self.as_upstream().flags()
    }

    /// Returns whether others can see stores: whether the mapping is `MAP_SHARED`.
    ///
    /// `VM_SHARED` does not tell: it is missing when the file was opened for reading only.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.flags() & bindings::VM_MAYSHARE != 0
    }

    /// Returns whether it is a private mapping that may be written, now or after mprotect(2)
    /// (`is_cow_mapping()`).
    #[inline]
    pub fn is_cow(&self) -> bool {
        self.flags() & (vm::SHARED | vm::MAYWRITE) == vm::MAYWRITE
    }

    /// Returns whether it is writable now.
    #[inline]
    pub fn is_writable(&self) -> bool {
        self.flags() & vm::WRITE != 0
    }

    /// Returns whether `len` bytes at `address` lie within the VMA.
    pub fn contains(&self, address: usize, len: usize) -> bool {
        match address.checked_add(len) {
            Some(end) => self.start() <= address && end <= self.end(),
            None => false,
        }
    }
}

/// A VMA of this driver: its operations are `V`.
///
/// # Invariants
///
/// As those of [`Vma`]; besides, the VMA has the table of `V`, and its file carries a
/// `FileState<V::Data>`.
#[repr(transparent)]
pub struct OwnVma<V: VmOperations>(Vma, PhantomData<V>);

impl<V: VmOperations> Deref for OwnVma<V> {
    type Target = Vma;

    fn deref(&self) -> &Vma {
        &self.0
    }
}

impl<V: VmOperations> OwnVma<V> {
    /// Returns a reference to a VMA of the driver.
    ///
    /// # Safety
    ///
    /// The type invariants hold for all of `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(vma: *const bindings::vm_area_struct) -> &'a Self {
        // SAFETY: By the contract of this function; the layout is the same.
        unsafe { &*vma.cast() }
    }

    /// Returns the data of the file that is mapped.
    #[inline]
    pub fn data(&self) -> &V::Data {
        // SAFETY: By the type invariants; the VMA holds its file.
        unsafe { FileState::borrow((*self.as_raw()).vm_file) }
    }

    /// Returns the data of this VMA, if it has some: see [`VmOperations::Private`].
    #[inline]
    pub fn private(&self) -> Option<&V::Private> {
        // SAFETY: By the type invariants it is this driver's VMA.
        unsafe { vm_private::get::<V>(self.as_raw()) }
    }
}

/// A VMA of this driver whose page tables may be changed.
///
/// The operations `open` and `close` get an [`OwnVma`] only: the page tables of a VMA that is being
/// copied are not filled yet, and those of a VMA that is being removed are freed.
///
/// # Invariants
///
/// As those of [`OwnVma`]; besides, the VMA has its page tables.
#[repr(transparent)]
pub struct DriverVma<V: VmOperations>(OwnVma<V>);

impl<V: VmOperations> Deref for DriverVma<V> {
    type Target = OwnVma<V>;

    fn deref(&self) -> &OwnVma<V> {
        &self.0
    }
}

impl<V: VmOperations> DriverVma<V> {
    /// Returns a reference to a VMA of the driver.
    ///
    /// # Safety
    ///
    /// The type invariants hold for all of `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(vma: *const bindings::vm_area_struct) -> &'a Self {
        // SAFETY: By the contract of this function; the layout is the same.
        unsafe { &*vma.cast() }
    }

    /// Returns a VMA that was looked up, if it is one of this driver's, with operations `V`.
    ///
    /// Returns `None` for any VMA when `V` has no operation at all: its VMAs have the core's empty
    /// table.
    pub fn from_ref(vma: &VmaRef) -> Option<&Self> {
        // SAFETY: By the invariants of `VmaRef` the VMA is valid.
        let ops = unsafe { (*vma.as_ptr()).vm_ops };
        if !core::ptr::eq(ops, VmTable::<V>::get()) {
            return None;
        }
        // Tables with the same contents may share an address, so the address alone does not
        // identify `V`. It does show that a hook of this library made the VMA, for a file of its
        // own: constants share an address within one object, no other code in this object makes
        // such tables, and an empty table, which could match anything, is put into no VMA.
        // SAFETY: Hence the private data of the file is a `FileState`.
        if !unsafe { FileState::<()>::maps_with::<V>((*vma.as_ptr()).vm_file) } {
            return None;
        }
        // SAFETY: The VMA has the operations of `V`. The locks are those that `vma` stands for.
        Some(unsafe { Self::from_raw(vma.as_ptr()) })
    }

    /// Zaps the `len` bytes at `address`; the next access calls the fault handler again. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the range is not made of whole pages, or does not lie within the VMA.
    pub fn zap(&self, address: usize, len: usize) -> Result {
        let whole = address % PAGE_SIZE == 0 && len % PAGE_SIZE == 0;
        if !whole || !self.contains(address, len) || len == 0 {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants a lock is held, and the range lies within the VMA; it is
        // made of whole pages, which `zap_pte_range()` assumes.
        unsafe { bindings::zap_vma_range(self.as_raw(), address, len) };
        Ok(())
    }
}

impl<V: VmOperations<Kind = Mixed>> DriverVma<V> {
    /// Maps `pages`, one after the other, from `address` on. Each mapping holds a reference to its
    /// page. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` when they do not fit in the VMA, `EBUSY` when something is mapped there, `ENOMEM`.
    /// Pages before the one that failed stay mapped.
    pub fn insert_pages(&self, address: usize, pages: &PageList) -> Result {
        let len = pages.len().checked_mul(PAGE_SIZE).ok_or(EINVAL)?;
        if !self.contains(address, len) || address % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }
        for index in 0..pages.len() {
            let page = pages.page(index).ok_or(EINVAL)?;
            let at = address + index * PAGE_SIZE;
            // SAFETY: The VMA has been `VM_MIXEDMAP` since it was made, the page is valid and of
            // order 0, and the address lies within the VMA.
            to_result(unsafe { bindings::vm_insert_page(self.as_raw(), at, page) })?;
        }
        Ok(())
    }
}

/// The order in which the program is going to access the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// No advice, or `MADV_NORMAL`.
    Unknown,
    /// `MADV_SEQUENTIAL`: one after the other.
    Sequential,
    /// `MADV_RANDOM`: in no order.
    Random,
}

/// Whether the program wants huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Huge {
    /// No advice.
    Unknown,
    /// `MADV_HUGEPAGE`.
    Wanted,
    /// `MADV_NOHUGEPAGE`, or `MAP_STACK`.
    Unwanted,
}

impl Vma {
    /// Returns the order in which the program is going to access the pages.
    pub fn pattern(&self) -> Pattern {
        // madvise(2) sets at most one of the two.
        if self.flags() & bindings::VM_RAND_READ != 0 {
            Pattern::Random
        } else if self.flags() & bindings::VM_SEQ_READ != 0 {
            Pattern::Sequential
        } else {
            Pattern::Unknown
        }
    }

    /// Returns whether the program wants huge pages.
    pub fn huge(&self) -> Huge {
        if self.flags() & vm::NOHUGEPAGE != 0 {
            Huge::Unwanted
        } else if self.flags() & vm::HUGEPAGE != 0 {
            Huge::Wanted
        } else {
            Huge::Unknown
        }
    }

    /// Returns whether the whole VMA is locked in memory, not only the pages accessed so far
    /// (`MLOCK_ONFAULT`).
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.flags() & bindings::VM_LOCKED != 0 && self.flags() & vm::LOCKONFAULT == 0
    }
}
