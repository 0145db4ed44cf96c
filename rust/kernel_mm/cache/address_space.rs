// SPDX-License-Identifier: GPL-2.0

//! The page cache of one file: `struct address_space`.
//!
//! Code that adds a folio must exclude truncation meanwhile. Otherwise the folio may be added past
//! the new EOF and stay there. Two locks exclude truncation, and the type system requires one of
//! them ([`TruncateGuard`]): the invalidate lock, shared ([`InvalidateShared`], for page faults),
//! and the inode's lock ([`InodeGuard`], for writers). Truncation takes both exclusively.
//!
//! Lock order: inode lock, mmap lock, invalidate lock, folio lock; see
//! [`context`](crate::mm::context).
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h); C source:
//! [`mm/filemap.c`](srctree/mm/filemap.c)
//!
//! [`InodeGuard`]: crate::mm::cache::inode::InodeGuard

use crate::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    mm::{
        cache::folio::{
            gfp_of,
            Folio,
            LockedFolio,
            NewFolio, //
        },
        virt::VmaRef, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

/// The page cache of a file.
///
/// # Invariants
///
/// A `&AddressSpace` points to a `struct address_space` that is valid for as long as the reference
/// lives, with its inode.
#[repr(transparent)]
pub struct AddressSpace(Opaque<bindings::address_space>);

// SAFETY: A page cache belongs to no thread; its own locks protect it.
unsafe impl Send for AddressSpace {}
// SAFETY: As above: every method may run in parallel with every other.
unsafe impl Sync for AddressSpace {}

/// A lock that excludes truncation.
///
/// # Safety
///
/// While a value of the type lives, no page of [`TruncateGuard::mapping`] is truncated, and the
/// file's size does not shrink.
pub unsafe trait TruncateGuard<'m> {
    /// Returns the page cache that the lock protects.
    fn mapping(&self) -> &'m AddressSpace;

    /// Returns the VMA of the page fault that holds the lock, or `None` when none does.
    fn faulted(&self) -> Option<&FaultedVma<'m>> {
        None
    }
}

/// The VMA of a page fault. Its NUMA policy (mbind(2)) applies to folios that the fault adds.
///
/// # Invariants
///
/// For `'a` the VMA is valid, and the mmap lock or the VMA's lock is held for reading.
pub struct FaultedVma<'a> {
    vma: *mut bindings::vm_area_struct,
    _life: PhantomData<&'a AddressSpace>,
}

impl FaultedVma<'_> {
    /// Wraps the VMA of a fault.
    ///
    /// # Safety
    ///
    /// As the type invariants say.
    pub(crate) unsafe fn new(vma: *mut bindings::vm_area_struct) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            vma,
            _life: PhantomData,
        }
    }

    /// Returns the address at which the VMA maps page `index` of the file, if it does.
    fn address_of(&self, index: usize) -> Option<usize> {
        // SAFETY: By the type invariants the VMA is valid, and a lock keeps its fields stable.
        let vma = unsafe { VmaRef::from_raw(self.vma) };
        // SAFETY: As above.
        let first = unsafe { (*self.vma).vm_pgoff };
        let offset = index.checked_sub(first)?.checked_mul(PAGE_SIZE)?;
        let address = vma.start().checked_add(offset)?;
        (address < vma.end()).then_some(address)
    }

    /// Allocates a zeroed folio that is to hold page `index` of the file, as [`NewFolio::alloc`].
    fn alloc(&self, index: usize, gfp: bindings::gfp_t, order: u32) -> Option<NewFolio> {
        match self.address_of(index) {
            // SAFETY: By the type invariants; the address lies within the VMA.
            Some(address) => unsafe { NewFolio::alloc_for(self.vma, address, gfp, order) },
            // A VMA's policy does not apply to pages outside its range.
            None => NewFolio::alloc(gfp, order),
        }
    }
}

/// The error of [`AddressSpace::add_folio`], with the folio that was not added.
pub struct AddError {
    /// The reason: `EEXIST` when the page cache already holds a folio there, `ENOMEM` when memory
    /// or the memory cgroup's limit is exhausted.
    pub error: Error,
    /// The folio.
    pub folio: NewFolio,
}

impl AddressSpace {
    /// Returns a reference to a page cache.
    ///
    /// # Safety
    ///
    /// `ptr` is valid for `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::address_space) -> &'a Self {
        // SAFETY: By the contract of this function; the layout is the same.
        unsafe { &*ptr.cast() }
    }

    /// Returns a raw pointer to the page cache.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::address_space {
        self.0.get()
    }

    /// Returns the number of pages that the cache holds.
    ///
    /// The number is exact while insertion and removal are excluded, otherwise a snapshot.
    #[inline]
    pub fn nr_pages(&self) -> usize {
        let ptr = self.as_raw();
        // SAFETY: The page cache is valid by the type invariants; the kernel also reads this word
        // without a lock (`READ_ONCE()` in `mapping_empty()` and `simple_getattr()`).
        unsafe { (&raw const (*ptr).nrpages).read_volatile() }
    }

    /// Returns the size of the file in bytes.
    #[inline]
    pub fn size(&self) -> u64 {
        // SAFETY: The page cache is valid and so is its inode.
        let size = unsafe { bindings::i_size_read((*self.as_raw()).host) };
        // A file's size is never negative.
        size as u64
    }

    /// Returns the number of pages that the file's size spans, including a partial last page.
    #[inline]
    pub fn size_pages(&self) -> usize {
        // No overflow: the size is below 2^63, so the result is below 2^51.
        self.size().div_ceil(PAGE_SIZE as u64) as usize
    }

    /// Finds the folio that holds page `index` without locking it, or returns `None`.
    ///
    /// The folio may be truncated at any time. Does not sleep.
    pub fn get_folio(&self, index: usize) -> Option<ARef<Folio>> {
        // SAFETY: The page cache is valid.
        let folio = unsafe { bindings::filemap_get_folio(self.as_raw(), index) };
        let folio = from_err_ptr(folio).ok()?;
        // SAFETY: `filemap_get_folio()` returned a folio and took a reference for us.
        Some(unsafe { ARef::from_raw(NonNull::new_unchecked(folio.cast())) })
    }

    /// Returns whether a folio would reach past EOF if EOF were at byte `end`: whether one folio
    /// holds both the last page before it and the page after that. May sleep.
    pub(crate) fn has_folio_across(&self, end: u64) -> bool {
        let after = end.div_ceil(PAGE_SIZE as u64) as usize;
        match (after.checked_sub(1), self.lock_folio(after)) {
            (Some(before), Some(folio)) => folio.contains(before),
            _ => false,
        }
    }

    /// Finds and locks the folio that holds page `index`, or returns `None`. May sleep.
    pub fn lock_folio(&self, index: usize) -> Option<LockedFolio<'_>> {
        // SAFETY: The page cache is valid.
        let folio = unsafe { bindings::filemap_lock_folio(self.as_raw(), index) };
        let folio = from_err_ptr(folio).ok()?;
        // SAFETY: `filemap_lock_folio()` returned a folio and took a reference for us.
        let folio = unsafe { ARef::from_raw(NonNull::new_unchecked(folio.cast())) };
        // SAFETY: It also locked the folio for us.
        Some(unsafe { LockedFolio::from_locked(folio) })
    }

    /// Allocates a zeroed folio of 2^`order` pages that is to hold page `index`, with the file's
    /// allocation flags.
    ///
    /// In a page fault the VMA's NUMA policy chooses the node, elsewhere the task's policy.
    ///
    /// Returns `None` when no memory of that order is available or the page cache does not support
    /// the order. May sleep.
    pub fn alloc_folio<'m, G: TruncateGuard<'m>>(
        held: &G,
        index: usize,
        order: u32,
    ) -> Option<NewFolio> {
        let mapping = held.mapping();
        if order > mapping.max_order() {
            return None;
        }
        match held.faulted() {
            Some(vma) => vma.alloc(index, mapping.gfp(), order),
            None => NewFolio::alloc(mapping.gfp(), order),
        }
    }

    /// Adds `folio` as page `index` (a multiple of the folio's pages) and returns it locked.
    ///
    /// The folio is marked dirty, so that only truncation removes it from the cache: there is no
    /// backing store to read it from again. The caller's memory cgroup is charged, which reclaims
    /// for a folio of order 0 only. May sleep.
    ///
    /// # Errors
    ///
    /// [`AddError`] returns the folio. The error is `EINVAL` for a folio that reaches past EOF, is
    /// not naturally aligned or is larger than the page cache supports.
    pub fn add_folio<'m, G: TruncateGuard<'m>>(
        held: &G,
        folio: NewFolio,
        index: usize,
    ) -> core::result::Result<LockedFolio<'m>, AddError> {
        let end = index.saturating_add(folio.nr_pages());
        // The size may grow meanwhile; it does not shrink while truncation is held off.
        if end > held.mapping().size_pages() {
            return Err(AddError {
                error: EINVAL,
                folio,
            });
        }
        // SAFETY: The folio ends at or before EOF.
        unsafe { held.mapping().add_folio_at(folio, index) }
    }

    /// Adds `folio` as [`AddressSpace::add_folio`] does, without checking EOF.
    ///
    /// # Safety
    ///
    /// Truncation is held off. If the folio reaches past EOF the caller holds the inode's lock, and
    /// if its order is not 0, then before it is unlocked the caller sets a size that covers it, or
    /// removes it from the page cache: the core may split any unlocked folio, and then drops pages
    /// past EOF and accounts them as written back (`__folio_freeze_and_split_unmapped()` in
    /// mm/huge_memory.c). A folio of order 0 is never split, and may stay past EOF.
    pub(crate) unsafe fn add_folio_at(
        &self,
        folio: NewFolio,
        index: usize,
    ) -> core::result::Result<LockedFolio<'_>, AddError> {
        if index & (folio.nr_pages() - 1) != 0 || folio.order() > self.max_order() {
            return Err(AddError {
                error: EINVAL,
                folio,
            });
        }
        // SAFETY: The folio is valid and no other code can see it. Setting the flag before the
        // folio is visible needs no lock; `noop_dirty_folio()` would do the same and no more.
        unsafe { bindings::folio_set_dirty(folio.as_raw()) };
        // A memory cgroup at its limit reclaims for a charge of order 0, but not for a large folio.
        let gfp = gfp_of(self.gfp(), folio.order());
        // SAFETY: Both are valid, the folio is in no page cache, and truncation is held off.
        let ret = to_result(unsafe {
            bindings::filemap_add_folio(self.as_raw(), folio.as_raw(), index, gfp)
        });
        match ret {
            // SAFETY: `filemap_add_folio()` locked the folio for us; the reference that the page
            // cache holds is one of its own.
            Ok(()) => Ok(unsafe { LockedFolio::from_locked(folio.into_ref()) }),
            Err(error) => Err(AddError { error, folio }),
        }
    }

    /// Unmaps pages `first` to `first + count - 1` of the file from all page tables. The pages stay
    /// in the cache, and the next access to them faults. May sleep.
    ///
    /// Copies in private mappings stay mapped.
    pub fn unmap(&self, first: usize, count: usize) {
        if count != 0 {
            // SAFETY: The page cache is valid; the function accepts any range.
            unsafe { bindings::unmap_mapping_pages(self.as_raw(), first, count, false) };
        }
    }

    /// Drains this CPU's LRU batches (`lru_add_drain()`, which is not exported): the folios in them
    /// move to their LRU lists, and the batches drop their references. May sleep.
    #[inline]
    pub(crate) fn drain_lru() {
        let mut none: bindings::folio_batch = pin_init::zeroed();
        // SAFETY: The batch is empty; the function drains this CPU's batches before it reads it.
        unsafe { bindings::__folio_batch_release(&raw mut none) };
    }

    /// Takes the invalidate lock shared, which excludes truncation and hole punching. May sleep.
    ///
    /// Only page faults and read(2) do so: see [`context`](crate::mm::context).
    pub(crate) fn invalidate_lock_shared(&self) -> InvalidateShared<'_> {
        // SAFETY: The page cache is valid.
        unsafe { bindings::filemap_invalidate_lock_shared(self.as_raw()) };
        // INVARIANT: Just locked.
        InvalidateShared {
            mapping: self,
            faulted: None,
            _nts: NotThreadSafe,
        }
    }

    /// Takes the invalidate lock exclusively, so that no fault adds pages. May sleep.
    pub(crate) fn invalidate_lock(&self) -> InvalidateExclusive<'_> {
        // SAFETY: The page cache is valid.
        unsafe { bindings::filemap_invalidate_lock(self.as_raw()) };
        // INVARIANT: Just locked.
        InvalidateExclusive {
            mapping: self,
            _nts: NotThreadSafe,
        }
    }

    /// Returns the order of the largest folios that the page cache supports.
    #[inline]
    pub fn max_order(&self) -> u32 {
        // SAFETY: The page cache is valid.
        unsafe { bindings::mapping_max_folio_order(self.as_raw()) }
    }

    #[inline]
    pub(crate) fn gfp(&self) -> bindings::gfp_t {
        // SAFETY: The page cache is valid.
        unsafe { bindings::mapping_gfp_mask(self.as_raw()) }
    }
}

/// The invalidate lock of a page cache, held shared.
///
/// # Invariants
///
/// The lock is held shared by this thread.
#[must_use = "the lock is released at once when the guard is unused"]
pub struct InvalidateShared<'a> {
    mapping: &'a AddressSpace,
    faulted: Option<FaultedVma<'a>>,
    _nts: NotThreadSafe,
}

impl<'a> InvalidateShared<'a> {
    /// Applies the NUMA policy of a fault's VMA to folios that are added under the lock.
    pub(crate) fn for_fault(self, vma: FaultedVma<'a>) -> Self {
        let mut held = self;
        held.faulted = Some(vma);
        held
    }
}

// SAFETY: Truncation and hole punching take the lock exclusively (`inode.rs`), as does a failed
// fallocate(2) (`preallocate.rs`), except for folios past EOF that it added and never unlocked.
unsafe impl<'m> TruncateGuard<'m> for InvalidateShared<'m> {
    fn mapping(&self) -> &'m AddressSpace {
        self.mapping
    }

    fn faulted(&self) -> Option<&FaultedVma<'m>> {
        self.faulted.as_ref()
    }
}

impl Drop for InvalidateShared<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this thread holds the lock.
        unsafe { bindings::filemap_invalidate_unlock_shared(self.mapping.as_raw()) };
    }
}

/// The invalidate lock of a page cache, held exclusively.
///
/// # Invariants
///
/// The lock is held exclusively by this thread.
pub(crate) struct InvalidateExclusive<'a> {
    mapping: &'a AddressSpace,
    _nts: NotThreadSafe,
}

impl InvalidateExclusive<'_> {
    /// Runs `f`, which removes pages, and returns how many left the cache.
    pub(crate) fn count_removed(&self, f: impl FnOnce()) -> usize {
        let before = self.mapping.nr_pages();
        f();
        before.saturating_sub(self.mapping.nr_pages())
    }
}

impl Drop for InvalidateExclusive<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this thread holds the lock.
        unsafe { bindings::filemap_invalidate_unlock(self.mapping.as_raw()) };
    }
}
