// SPDX-License-Identifier: GPL-2.0

//! Folios: the pages of a file or of a driver, as one object of 2^order pages.
//!
//! One C struct, three types, which differ in what the holder knows of the folio:
//!
//! - [`Folio`]: valid, reference-counted ([`ARef<Folio>`]), nothing else known.
//! - [`NewFolio`]: just allocated, zeroed, in no page cache; no other code can see it.
//! - [`LockedFolio`]: a reference and the folio lock. Dropping it unlocks the folio, or the fault
//!   handler passes it to the core locked.
//!
//! The last two do not deref to [`Folio`]. A `&Folio` of a new folio could be locked before
//! [`AddressSpace::add_folio`] sets the lock bit, and the lock would have two owners. A `&Folio` of
//! a locked folio could be copied to a buffer that maps the same folio, and the page fault would
//! wait for the lock forever.
//!
//! [`AddressSpace::add_folio`]: crate::mm::cache::address_space::AddressSpace::add_folio
//!
//! C header: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h),
//! [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use crate::{
    bindings,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    mm::values,
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::NonNull, //
};

/// A folio: 2^order contiguous pages with one reference count, one lock and one set of flags.
///
/// # Invariants
///
/// A `&Folio` points to a `struct folio` whose reference count is not zero for as long as the
/// reference lives.
#[repr(transparent)]
pub struct Folio(Opaque<bindings::folio>);

// SAFETY: A folio may be used and released on any thread: `folio_put()` may be called from any
// context, and no field that the methods read belongs to a thread.
unsafe impl Send for Folio {}
// SAFETY: The methods on `&Folio` may run in parallel: they read fields that do not change while a
// reference is held (see `size`) and an atomic flag, or copy page contents by `copy_to_user()`,
// which creates no Rust reference to them.
unsafe impl Sync for Folio {}

// SAFETY: `folio_get()` keeps a folio alive until the matching `folio_put()`.
unsafe impl AlwaysRefCounted for Folio {
    fn inc_ref(&self) {
        // SAFETY: By the type invariants the reference count is not zero.
        unsafe { bindings::folio_get(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference that it owns.
        unsafe { bindings::folio_put(obj.cast().as_ptr()) };
    }
}

impl Folio {
    /// Returns a raw pointer to the folio.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::folio {
        self.0.get()
    }

    /// Returns the size of the folio in bytes.
    #[inline]
    pub fn size(&self) -> usize {
        // SAFETY: By the type invariants a reference is held. To split a folio the core freezes its
        // reference count at the references of the page cache and its own (`folio_ref_freeze()` in
        // mm/huge_memory.c), which fails while there is another one: the size does not change.
        unsafe { bindings::folio_size(self.as_raw()) }
    }

    /// Returns the order of the folio: it has 2^order pages.
    #[inline]
    pub fn order(&self) -> u32 {
        // SAFETY: As in `size`.
        unsafe { bindings::folio_order(self.as_raw()) }
    }

    /// Returns the number of pages of the folio.
    #[inline]
    pub fn nr_pages(&self) -> usize {
        1 << self.order()
    }

    /// Returns whether the contents are valid; only such a folio may be shown to userspace.
    #[inline]
    pub fn is_uptodate(&self) -> bool {
        // SAFETY: By the type invariants the folio is valid; the test is atomic and orders later
        // reads of the contents after it.
        unsafe { bindings::folio_test_uptodate(self.as_raw()) }
    }

    /// Returns whether the memory of one of its pages has failed
    /// (`folio_contain_hwpoisoned_page()`).
    #[inline]
    pub fn has_hwpoisoned_page(&self) -> bool {
        // SAFETY: By the type invariants the folio is valid; its flags are atomic.
        unsafe { bindings::folio_contain_hwpoisoned_page(self.as_raw()) }
    }

    /// Returns whether the folio has references besides those of the page cache, page tables and
    /// the caller, who holds one: as [`LockedFolio::is_in_use`], but a guess while page tables may
    /// change.
    #[inline]
    pub(crate) fn is_in_use(&self) -> bool {
        // SAFETY: A reference is held; the function reads counts and flags.
        unsafe { bindings::folio_has_other_refs(self.as_raw(), 1) }
    }

    /// Returns whether page `index` of its file is lost: its memory failed, or it replaces a page
    /// whose memory failed. Every access must then fail with `EIO` or `VM_FAULT_HWPOISON`.
    #[inline]
    pub fn is_lost(&self, index: usize) -> bool {
        // SAFETY: By the type invariants the folio is valid; the function takes `index` modulo the
        // folio's pages, so that the page exists.
        let page = unsafe { bindings::folio_file_page(self.as_raw(), index) };
        // SAFETY: The page lives as long as the folio.
        !self.is_uptodate() || unsafe { bindings::is_page_hwpoison(page) }
    }

    /// Copies `len` bytes from `offset` (both in bytes, within the folio) to `iov`.
    ///
    /// Returns the number of bytes copied, which is smaller than `len` when a fault on userspace's
    /// buffer fails. Handles page faults on the buffer, so the caller must hold no folio lock. May
    /// sleep.
    pub fn copy_to_iter(&self, offset: usize, len: usize, iov: &mut IovIterDest<'_>) -> usize {
        let size = self.size();
        let offset = offset.min(size);
        let len = len.min(size - offset);
        // SAFETY: The range was just clipped to the folio, `iov` is a valid destination.
        unsafe { bindings::copy_folio_to_iter(self.as_raw(), offset, len, iov.as_raw()) }
    }
}

/// A folio that was just allocated: zeroed, unlocked, in no page cache, visible to its owner only.
///
/// # Invariants
///
/// The owner holds the only reference, no other part of the kernel can see the folio, and its
/// contents are initialised. It has 2^`order` pages.
pub struct NewFolio {
    folio: ARef<Folio>,
    order: u32,
}

/// Returns the flags to allocate and charge a folio of `order`: as with `GFP_TRANSHUGE_LIGHT` of
/// `include/linux/gfp_types.h`, large folios neither reclaim nor compact.
///
/// Without reclaim flags the allocator treats the request as atomic and lets it use reserves;
/// `__GFP_NOMEMALLOC` prevents that (`alloc_flags_nonblocking()` in `mm/page_alloc.c`).
pub(crate) fn gfp_of(gfp: bindings::gfp_t, order: u32) -> bindings::gfp_t {
    if order == 0 {
        gfp
    } else {
        (gfp | values::GFP_SOFT | bindings::__GFP_NOMEMALLOC)
            & !(bindings::__GFP_RECLAIM | bindings::__GFP_RETRY_MAYFAIL)
    }
}

impl NewFolio {
    /// Allocates a zeroed folio of 2^`order` pages, or returns `None` when there is no memory.
    ///
    /// `gfp` are the allocation flags of the caller's `address_space`. Above order 0 the allocator
    /// neither reclaims nor compacts, since smaller folios serve as well. May sleep.
    pub(crate) fn alloc(gfp: bindings::gfp_t, order: u32) -> Option<Self> {
        let gfp = gfp_of(gfp, order) | bindings::__GFP_ZERO;
        // SAFETY: The flags are those of an `address_space` or `GFP_KERNEL`, the order is one that
        // the page cache supports: at most `MAX_PAGECACHE_ORDER`. Without memory the function
        // returns null.
        let ptr = unsafe { bindings::folio_alloc(gfp, order) };
        // SAFETY: The pointer is null, or the folio was just allocated with this order and zeroed.
        unsafe { Self::from_zeroed(ptr, order) }
    }

    /// Allocates as [`NewFolio::alloc`] does, on a node that the NUMA policy of `vma` allows at
    /// `address`.
    ///
    /// # Safety
    ///
    /// The VMA is valid, `address` lies within it, and the mmap lock or the VMA's lock is held.
    pub(crate) unsafe fn alloc_for(
        vma: *mut bindings::vm_area_struct,
        address: usize,
        gfp: bindings::gfp_t,
        order: u32,
    ) -> Option<Self> {
        let gfp = gfp_of(gfp, order) | bindings::__GFP_ZERO;
        // SAFETY: By the contract of this function; flags and order as in `alloc`.
        let ptr = unsafe { bindings::vma_alloc_folio(gfp, order as c_int, vma, address) };
        // SAFETY: The pointer is null, or the folio was just allocated with this order and zeroed.
        unsafe { Self::from_zeroed(ptr, order) }
    }

    /// Takes over a folio of 2^`order` pages, or returns `None` for null.
    ///
    /// # Safety
    ///
    /// The pointer is null, or the folio was just allocated with this order, is zeroed, and no
    /// other code can see it.
    unsafe fn from_zeroed(ptr: *mut bindings::folio, order: u32) -> Option<Self> {
        let folio = NonNull::new(ptr)?;
        // SAFETY: Zeroing initialised the contents, and no other code can see the folio yet.
        unsafe { bindings::__folio_mark_uptodate(ptr) };
        // SAFETY: A folio is allocated with one reference, which is ours now.
        let folio = unsafe { ARef::from_raw(folio.cast()) };
        // INVARIANT: The folio is fresh and zeroed, and has this order.
        Some(Self { folio, order })
    }

    /// Allocates a folio of 2^`order` pages whose bytes from `offset` on are copied from `iov`, up
    /// to `len` of them, and whose other bytes are zero. Returns it with the number of bytes
    /// copied, fewer than `len` when userspace's buffer ends; or `None` when there is no memory,
    /// with `iov` as it was.
    ///
    /// No other code can see the folio while its bytes are copied, so a page fault on userspace's
    /// buffer may take any folio lock and may sleep for any time.
    pub(crate) fn copy_from_iter(
        gfp: bindings::gfp_t,
        order: u32,
        offset: usize,
        len: usize,
        iov: &mut IovIterSource<'_>,
    ) -> Option<(Self, usize)> {
        // SAFETY: Any flags and any order are valid; without memory the function returns null.
        let ptr = unsafe { bindings::folio_alloc(gfp_of(gfp, order), order) };
        let folio = NonNull::new(ptr)?;
        // SAFETY: `folio_alloc()` returned a folio with one reference, which is ours now.
        let folio: ARef<Folio> = unsafe { ARef::from_raw(folio.cast()) };
        let size = PAGE_SIZE << order;
        let offset = offset.min(size);
        let len = len.min(size - offset);
        // SAFETY: The range was just clipped to the folio, `iov` is a valid source.
        let copied = unsafe { bindings::copy_folio_from_iter(ptr, offset, len, iov.as_raw()) };
        // SAFETY: Both ranges lie within the folio: `copied` is at most `len`.
        unsafe { bindings::folio_zero_segments(ptr, 0, offset, offset + copied, size) };
        // SAFETY: Every byte was just copied or zeroed, and no other code can see the folio yet.
        unsafe { bindings::__folio_mark_uptodate(ptr) };
        // INVARIANT: The folio is fresh, of this order, and its contents are initialised.
        Some((Self { folio, order }, copied))
    }

    /// Returns the order of the folio: it has 2^order pages.
    #[inline]
    pub fn order(&self) -> u32 {
        self.order
    }

    /// Returns the number of pages of the folio.
    #[inline]
    pub fn nr_pages(&self) -> usize {
        1 << self.order
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::folio {
        self.folio.as_raw()
    }

    #[inline]
    pub(crate) fn into_ref(self) -> ARef<Folio> {
        self.folio
    }
}

/// A reference to a folio together with its lock.
///
/// While it is held the folio stays where it is in its page cache: it is neither truncated nor
/// migrated. Dropping it unlocks the folio and drops the reference.
///
/// `'a` is the lifetime of the file or the lock under which the folio was found. The folio cannot
/// stay locked for longer.
///
/// The types cannot enforce two duties of the driver. While a folio is locked it must not lock
/// another one, or the same one again. It must not leak the lock (`core::mem::forget()`): every
/// other user of the page would wait for it forever.
///
/// # Invariants
///
/// The folio is locked, and this object is the one that unlocks it.
#[must_use = "the folio is unlocked at once when the guard is unused"]
pub struct LockedFolio<'a> {
    folio: ManuallyDrop<ARef<Folio>>,
    _life: PhantomData<&'a Folio>,
    // Lockdep and readers of a trace expect the thread that locks a folio to unlock it.
    _nts: NotThreadSafe,
}

impl<'a> LockedFolio<'a> {
    /// Takes over a reference and the lock.
    ///
    /// # Safety
    ///
    /// The folio is locked, and the caller passes on the duty to unlock it.
    pub(crate) unsafe fn from_locked(folio: ARef<Folio>) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            folio: ManuallyDrop::new(folio),
            _life: PhantomData,
            _nts: NotThreadSafe,
        }
    }

    /// Locks a folio. May sleep.
    #[inline]
    pub fn lock(folio: &'a Folio) -> Self {
        // SAFETY: By the type invariants of `Folio` a reference is held.
        unsafe { bindings::folio_lock(folio.as_raw()) };
        // SAFETY: Just locked. `folio_lock()` waits for every other owner of the lock. The lock bit
        // is set unconditionally only in a `NewFolio`, to which there is no `&Folio`.
        unsafe { Self::from_locked(ARef::from(folio)) }
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::folio {
        self.folio.as_raw()
    }

    /// Returns the size of the folio in bytes.
    #[inline]
    pub fn size(&self) -> usize {
        self.folio.size()
    }

    /// Returns the order of the folio: it has 2^order pages.
    #[inline]
    pub fn order(&self) -> u32 {
        self.folio.order()
    }

    /// Returns the number of pages of the folio.
    #[inline]
    pub fn nr_pages(&self) -> usize {
        self.folio.nr_pages()
    }

    /// Returns whether the contents are valid; only such a folio may be shown to userspace.
    #[inline]
    pub fn is_uptodate(&self) -> bool {
        self.folio.is_uptodate()
    }

    /// Returns whether page `index` of its file is lost, as [`Folio::is_lost`].
    #[inline]
    pub fn is_lost(&self, index: usize) -> bool {
        self.folio.is_lost(index)
    }

    /// Returns whether the memory of one of its pages has failed.
    #[inline]
    pub fn has_hwpoisoned_page(&self) -> bool {
        self.folio.has_hwpoisoned_page()
    }

    /// Passes both the lock and the reference to the caller, as a raw pointer.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut bindings::folio {
        let folio = ManuallyDrop::new(self);
        folio.as_raw()
    }

    /// Returns whether the folio holds page `index` of its file.
    #[inline]
    pub fn contains(&self, index: usize) -> bool {
        // SAFETY: The lock keeps `folio->index` stable.
        unsafe { bindings::folio_contains(self.as_raw(), index) }
    }

    /// Returns the index of the page after the folio, given the index of one of its pages.
    #[inline]
    pub fn end_of(&self, index: usize) -> usize {
        // Folios are naturally aligned.
        (index | (self.nr_pages() - 1)) + 1
    }

    /// Returns whether page `index` of its file is the folio's first.
    #[inline]
    pub fn starts_at(&self, index: usize) -> bool {
        self.contains(index) && (index == 0 || !self.contains(index - 1))
    }

    /// Returns whether the folio has references besides those of the page cache, page tables and
    /// this guard, such as those of direct I/O.
    ///
    /// A folio that is on no LRU list is being moved to or from one, and the code that moves it
    /// holds a reference (`folio_batch_add_and_move()` in mm/swap.c), which is not counted. The
    /// result is exact for a folio that no page table maps.
    #[inline]
    pub(crate) fn is_in_use(&self) -> bool {
        self.folio.is_in_use()
    }

    /// Returns whether every byte of the folio is zero.
    pub(crate) fn is_zeroed(&self) -> bool {
        (0..self.nr_pages()).all(|n| {
            // SAFETY: A reference is held; the function takes `n` modulo the folio's pages.
            let page = unsafe { bindings::folio_file_page(self.as_raw(), n) };
            // SAFETY: The page is valid, and unmapped below.
            let address = unsafe { bindings::kmap_local_page(page) };
            // SAFETY: A page is mapped at `address`. A concurrent store makes the result stale, but
            // is no data race: C code reads the bytes, and there is no Rust reference to them.
            let other = unsafe { bindings::memchr_inv(address, 0, PAGE_SIZE) };
            // SAFETY: Mapped above; this is the thread's latest local mapping.
            unsafe { bindings::kunmap_local(address) };
            other.is_null()
        })
    }

    /// Removes the folio from the page cache `mapping` of a regular file, and unmaps it from all
    /// page tables. May sleep.
    ///
    /// # Safety
    ///
    /// The folio is in `mapping`. The caller reports the removed pages to the driver
    /// (`InodeData::pages_removed`).
    #[inline]
    pub(crate) unsafe fn remove(&self, mapping: *mut bindings::address_space) {
        // SAFETY: The folio is locked and in the page cache, so that `truncate_inode_folio()`
        // succeeds. The function itself fails only for files that are not regular.
        let _ = unsafe { bindings::generic_error_remove_folio(mapping, self.as_raw()) };
    }

    /// Returns the page cache that the folio is in.
    #[inline]
    pub(crate) fn mapping(&self) -> *mut bindings::address_space {
        // SAFETY: The lock keeps `folio->mapping` stable.
        unsafe { (*self.as_raw()).__bindgen_anon_1.__bindgen_anon_1.mapping }
    }

    /// Zeroes the bytes from offset `from` up to offset `to`, within the folio.
    pub(crate) fn zero(&mut self, from: usize, to: usize) {
        let to = to.min(self.size());
        // SAFETY: Both ranges end within the folio, and the second one is empty.
        unsafe { bindings::folio_zero_segments(self.as_raw(), from, to, to, to) };
    }

    /// Copies from `iov` to `len` bytes at `offset` (both in bytes, within the folio) and marks the
    /// folio dirty.
    ///
    /// Does not handle page faults on userspace's buffer, since they may need this folio: it then
    /// returns a smaller number of bytes, and the caller faults the buffer in without the lock
    /// before it tries again.
    pub fn copy_from_iter(
        &mut self,
        offset: usize,
        len: usize,
        iov: &mut IovIterSource<'_>,
    ) -> usize {
        let size = self.size();
        let offset = offset.min(size);
        let len = len.min(size - offset);
        // SAFETY: The range was just clipped to the folio, `iov` is a valid source.
        let copied = unsafe {
            bindings::copy_folio_from_iter_atomic(self.as_raw(), offset, len, iov.as_raw())
        };
        // SAFETY: The reference keeps the folio alive.
        unsafe { bindings::flush_dcache_folio(self.as_raw()) };
        // SAFETY: As above; the lock keeps the folio in its page cache, as the function requires.
        unsafe { bindings::folio_mark_dirty(self.as_raw()) };
        copied
    }
}

impl Drop for LockedFolio<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the folio is locked and ours to unlock.
        unsafe { bindings::folio_unlock(self.as_raw()) };
        // SAFETY: Only this function drops the reference, and it runs at most once; `into_raw()`
        // keeps it from running at all.
        unsafe { ManuallyDrop::drop(&mut self.folio) };
    }
}
