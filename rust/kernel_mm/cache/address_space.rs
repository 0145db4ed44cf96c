// SPDX-License-Identifier: GPL-2.0

//! The page cache of one file: `struct address_space`.
//!
//! Code that adds a folio must exclude truncation meanwhile, or the folio may be added beyond the
//! new end of the file and stay there. Two locks do that, and the type system asks for one of them
//! ([`TruncateGuard`]): the invalidate lock, shared ([`InvalidateShared`], for page faults),
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
    sync::{
        aref::ARef,
        rcu, //
    },
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

// SAFETY: The page cache has its own locks.
unsafe impl Send for AddressSpace {}
// SAFETY: As above: every method may run in parallel with every other.
unsafe impl Sync for AddressSpace {}

/// A lock that keeps the file's size as it is and its pages in the cache.
///
/// # Safety
///
/// While a value of the type lives, no page of [`TruncateGuard::mapping`] is truncated, and the
/// file's size does not shrink.
pub unsafe trait TruncateGuard<'m> {
    /// The page cache that the lock is of.
    fn mapping(&self) -> &'m AddressSpace;

    /// Returns the VMA of the page fault that holds the lock, or `None` when none does.
    fn faulted(&self) -> Option<&FaultedVma<'m>> {
        None
    }
}

/// The VMA of a page fault: what the fault adds lies on the NUMA nodes that mbind(2) asked for.
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

    /// Returns the address of page `index` of the file, if the VMA shows it.
    fn address_of(&self, index: usize) -> Option<usize> {
        // SAFETY: By the type invariants the VMA is valid, and a lock keeps its fields.
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
            // The policy of a mapping is not about pages that it does not show.
            None => NewFolio::alloc(gfp, order),
        }
    }
}

/// A folio could not be added; it is given back with the reason.
pub struct AddError {
    /// Why: `EEXIST` when another folio is there already, `ENOMEM` when memory or the memory
    /// cgroup's limit is exhausted.
    pub error: Error,
    /// The folio that was not added.
    pub folio: NewFolio,
}

impl AddressSpace {
    /// Returns a reference to a page cache.
    ///
    /// # Safety
    ///
    /// `ptr` is valid for `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::address_space) -> &'a Self {
        // SAFETY: By the contract of this function; the layout is the same.
        unsafe { &*ptr.cast() }
    }

    /// Returns a raw pointer to the page cache.
    pub fn as_raw(&self) -> *mut bindings::address_space {
        self.0.get()
    }

    /// Returns the number of pages that the cache holds.
    ///
    /// The number is exact while insertion and removal are held off, otherwise a snapshot.
    pub fn nr_pages(&self) -> usize {
        let ptr = self.as_raw();
        // SAFETY: The page cache is valid by the type invariants; the kernel reads this word
        // without a lock, too (`READ_ONCE()` in `mapping_empty()` and `simple_getattr()`).
        unsafe { (&raw const (*ptr).nrpages).read_volatile() }
    }

    /// Returns the number of pages before page `index` that the cache holds without a gap, at most
    /// `max`. Does not sleep; others may add and remove pages meanwhile.
    ///
    /// It is the history of a sequential access, which needs no other record: readahead looks for
    /// the same traces (`page_cache_sync_ra()` in mm/readahead.c). A large folio is one step,
    /// however many pages it has.
    pub fn resident_before(&self, index: usize, max: usize) -> usize {
        /// The single pages in a row that are looked at before a large folio is looked for.
        const STEP: usize = 64;

        let max = max.min(index);
        let mut count = 0;
        while count < max {
            let last = index - count - 1;
            let Some(order) = self.order_at(last) else {
                break;
            };
            if order > 0 {
                count = index - (last & !((1 << order) - 1));
                continue;
            }
            let step = STEP.min(max - count);
            let _rcu = rcu::read_lock();
            // From the middle of a large folio the function would go on before the folio, and call
            // the step a single page (`xas_load()` goes to the first slot of an entry). It takes
            // every page of the folios that it comes to later.
            //
            // SAFETY: The page cache is valid; the RCU read lock keeps the nodes that are walked.
            let gap = unsafe { bindings::page_cache_prev_miss(self.as_raw(), last, step) };
            // Without a gap it returns the page before those that it looked at, which may be
            // `usize::MAX`.
            let found = last.wrapping_sub(gap).min(step);
            count += found;
            if found < step {
                break;
            }
        }
        count.min(max)
    }

    /// Returns the order of the folio that holds page `index`, or `None` when none does. Does not
    /// sleep; the folio may be removed or split meanwhile.
    pub(crate) fn order_at(&self, index: usize) -> Option<u32> {
        // SAFETY: The page cache is valid; the function takes the RCU read lock itself, and the
        // entry is not dereferenced.
        let entry = unsafe { bindings::xa_load(&raw mut (*self.as_raw()).i_pages, index) };
        // A value is the trace of a page that was evicted (`xa_is_value()`).
        if entry.is_null() || entry.addr() & 1 != 0 {
            return None;
        }
        // SAFETY: The page cache is valid; the function takes the RCU read lock itself.
        let order = unsafe { bindings::xa_get_order(&raw mut (*self.as_raw()).i_pages, index) };
        Some(order as u32)
    }

    /// Returns the first of `count` pages from page `index` on that is not there, or the page
    /// after them when all are. Does not sleep; others may add and remove pages meanwhile.
    pub fn first_missing(&self, index: usize, count: usize) -> usize {
        let end = index.saturating_add(count);
        // From the middle of a large folio `page_cache_next_miss()` takes pages past the folio for
        // present: `xas_load()` goes to the first slot of the folio's entry, and `__xas_next()`
        // counts slots from there (lib/xarray.c). So the walk begins after the folio.
        let from = match self.order_at(index) {
            Some(order) => (index | ((1 << order) - 1)).saturating_add(1),
            None => return index,
        };
        if from >= end {
            return end;
        }
        let _rcu = rcu::read_lock();
        // SAFETY: The page cache is valid; the RCU read lock keeps the nodes that are walked.
        let found = unsafe { bindings::page_cache_next_miss(self.as_raw(), from, end - from) };
        // It wraps around to 0 after the last page that there can be.
        if found < from {
            end
        } else {
            found.min(end)
        }
    }

    /// Returns the size of the file in bytes.
    pub fn size(&self) -> u64 {
        // SAFETY: The page cache is valid and so is its inode.
        let size = unsafe { bindings::i_size_read((*self.as_raw()).host) };
        // A file's size is never negative.
        size as u64
    }

    /// Returns the number of pages that the file's size spans, the last of them maybe in part.
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

    /// Returns whether a folio would reach past EOF if that were at byte `end`: whether one holds
    /// the page before as well as the page after.
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
    /// In a page fault the folio lies on a NUMA node that the policy of the VMA allows, elsewhere
    /// on one that the task's allows.
    ///
    /// Returns `None` when there is no memory of that order, or the page cache takes no folios as
    /// large. May sleep.
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
    /// The folio is marked dirty, so that nothing but truncation takes it out of the cache: there
    /// is no backing store to read it from again. The memory cgroup of the caller is charged; it
    /// reclaims for a folio of order 0 only. May sleep.
    ///
    /// # Errors
    ///
    /// [`AddError`] gives the folio back: with `EINVAL` for one that reaches past EOF, lies at no
    /// multiple of its size or is larger than the cache takes.
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

    /// As [`AddressSpace::add_folio`], without a look at EOF.
    ///
    /// # Safety
    ///
    /// Truncation is held off. If the folio reaches past EOF the caller holds the inode's lock, and
    /// if its order is not 0, then before it is unlocked the caller sets a size that covers it, or
    /// takes it out of the page cache: the core may split every unlocked folio, and takes pages
    /// past EOF for ones that were written back (`__folio_freeze_and_split_unmapped()` in
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
        // SAFETY: The folio is valid and nobody else knows it. Setting the flag before the folio
        // can be seen costs no lock; `noop_dirty_folio()` would do the same and no more.
        unsafe { bindings::folio_set_dirty(folio.as_raw()) };
        // A cgroup at its limit reclaims for what it is charged with, but not for a large folio.
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

    /// Takes pages `first` to `first + count - 1` of the file out of all page tables; the pages
    /// stay in the cache, and touching them asks the fault handlers again. May sleep.
    ///
    /// Copies that private mappings made of them stay mapped.
    pub fn unmap(&self, first: usize, count: usize) {
        if count != 0 {
            // SAFETY: The page cache is valid; the function copes with any range.
            unsafe { bindings::unmap_mapping_pages(self.as_raw(), first, count, false) };
        }
    }

    /// Has pages that wait on this processor for a place in an LRU list, each with a reference, get
    /// there (`lru_add_drain()`, which is not exported). May sleep.
    pub(crate) fn drain_lru() {
        let mut none: bindings::folio_batch = pin_init::zeroed();
        // SAFETY: A batch without folios; the function drains the lists before it looks at it.
        unsafe { bindings::__folio_batch_release(&raw mut none) };
    }

    /// Takes the invalidate lock shared: truncation and hole punching wait. May sleep.
    ///
    /// Page faults alone do so: see [`context`](crate::mm::context).
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

    /// Takes the invalidate lock exclusively: nobody adds pages by a fault. May sleep.
    pub(crate) fn invalidate_lock(&self) -> InvalidateExclusive<'_> {
        // SAFETY: The page cache is valid.
        unsafe { bindings::filemap_invalidate_lock(self.as_raw()) };
        // INVARIANT: Just locked.
        InvalidateExclusive {
            mapping: self,
            _nts: NotThreadSafe,
        }
    }

    /// Returns the order of the largest folios that the page cache takes.
    pub fn max_order(&self) -> u32 {
        // SAFETY: The page cache is valid.
        unsafe { bindings::mapping_max_folio_order(self.as_raw()) }
    }

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
#[must_use = "the lock is given back at once when the guard is unused"]
pub struct InvalidateShared<'a> {
    mapping: &'a AddressSpace,
    faulted: Option<FaultedVma<'a>>,
    _nts: NotThreadSafe,
}

impl<'a> InvalidateShared<'a> {
    /// Lets what is added under the lock lie where the policy of a fault's VMA says.
    pub(crate) fn for_fault(self, vma: FaultedVma<'a>) -> Self {
        let mut held = self;
        held.faulted = Some(vma);
        held
    }
}

// SAFETY: Truncation and hole punching take the lock exclusively (`inode.rs`, the only place).
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
