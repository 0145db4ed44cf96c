// SPDX-License-Identifier: GPL-2.0

//! Memory of a driver's own that it shows in mappings, outside of any page cache.
//!
//! - [`PageList`]: single pages, each with a reference count. They go into a mapping one by one
//!   (`vm_insert_page()`), and stay alive while they are mapped.
//! - [`PageBlock`]: physically contiguous pages, addressed by page frame. Nobody counts references
//!   to them while they are mapped (`remap_pfn_range()`), so that they must outlive the mappings.
//!
//! Both are zeroed when they are made. The kernel and userspace may read and write them at the same
//! time: the kernel's accesses are those of `READ_ONCE()` and `WRITE_ONCE()`, byte by byte, and see
//! what they see. Words of a [`PageList`] are the kernel's atomics ([`Atomic`]), in whose memory
//! model (LKMM) accesses of different sizes to the same bytes may meet, as they do in C: each is
//! one instruction. (Rust's own atomics, `core::sync::atomic`, forbid it.)
//!
//! C header: [`include/linux/gfp.h`](srctree/include/linux/gfp.h)

use crate::{
    bindings,
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::atomic::Atomic, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

/// Bytes that userspace may use at the same time.
///
/// # Invariants
///
/// `at` is valid for reads and writes of `len` bytes for all of `'a`, and no Rust reference points
/// to them but those of [`PageList::word`].
struct Shared<'a> {
    at: *mut u8,
    len: usize,
    _memory: PhantomData<&'a ()>,
}

impl Shared<'_> {
    /// Stores `bytes` from the beginning on; those that do not fit are left out.
    fn store(&self, bytes: &[u8]) {
        for (index, byte) in bytes.iter().take(self.len).enumerate() {
            // SAFETY: By the type invariants. Others may access the byte at the same time: that is
            // no data race in the kernel's memory model, since a volatile access of a byte is one
            // instruction (`WRITE_ONCE()`).
            unsafe { self.at.add(index).write_volatile(*byte) };
        }
    }

    /// Loads into `bytes` from the beginning on, as many as there are.
    fn load(&self, bytes: &mut [u8]) {
        for (index, byte) in bytes.iter_mut().take(self.len).enumerate() {
            // SAFETY: As in `store` (`READ_ONCE()`).
            *byte = unsafe { self.at.add(index).read_volatile() };
        }
    }
}

/// Single pages, zeroed when they were made.
///
/// # Invariants
///
/// `raw` points to `pages`, in the same order.
pub struct PageList {
    pages: KVec<Page>,
    raw: KVec<*mut bindings::page>,
}

// SAFETY: The pages are owned and bound to no thread; the pointers are to them.
unsafe impl Send for PageList {}
// SAFETY: The vectors do not change; the pages' bytes are accessed through `Shared` and `Atomic`
// alone, which stand accesses at the same time.
unsafe impl Sync for PageList {}

impl PageList {
    /// Allocates `count` pages. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(count: usize) -> Result<Self> {
        let mut pages = KVec::with_capacity(count, GFP_KERNEL)?;
        let mut raw = KVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            let page = Page::alloc_page(GFP_KERNEL | __GFP_ZERO)?;
            // INVARIANT: One of each.
            raw.push(page.as_ptr(), GFP_KERNEL)?;
            pages.push(page, GFP_KERNEL)?;
        }
        Ok(Self { pages, raw })
    }

    /// Returns the number of pages.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Returns whether there are no pages.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Returns the pages as C takes them; nobody writes to the array.
    pub(crate) fn as_raw(&self) -> *mut *mut bindings::page {
        self.raw.as_ptr().cast_mut()
    }

    pub(crate) fn page(&self, index: usize) -> Option<*mut bindings::page> {
        self.raw.get(index).copied()
    }

    /// Returns how many references there are to page `index`: the list's own, and one for each page
    /// table that maps it. It may change at any time.
    pub fn references(&self, index: usize) -> Option<usize> {
        let page = self.page(index)?;
        // SAFETY: The list owns the page.
        usize::try_from(unsafe { bindings::page_count(page) }).ok()
    }

    /// Runs `f` for each piece of `len` bytes at `offset` that lies within one page, in order, with
    /// the piece and its place within the range.
    fn pieces(&self, offset: usize, len: usize, mut f: impl FnMut(Shared<'_>, usize)) -> Result {
        let end = offset.checked_add(len).ok_or(EINVAL)?;
        if end > self.len() * PAGE_SIZE {
            return Err(EINVAL);
        }
        let mut at = offset;
        while at < end {
            let within = at % PAGE_SIZE;
            let piece = (PAGE_SIZE - within).min(end - at);
            let page = self.page(at / PAGE_SIZE).ok_or(EINVAL)?;
            // SAFETY: `GFP_KERNEL` pages have an address, which is valid while `self` owns them.
            let address = unsafe { bindings::page_address(page) }.cast::<u8>();
            // SAFETY: `within` is less than a page.
            let first = unsafe { address.add(within) };
            // INVARIANT: The piece ends with the page at the latest, and `self` is borrowed.
            let shared = Shared {
                at: first,
                len: piece,
                _memory: PhantomData,
            };
            f(shared, at - offset);
            at += piece;
        }
        Ok(())
    }

    /// Writes `bytes` at `offset`, in bytes from the first page's start.
    ///
    /// # Errors
    ///
    /// `EINVAL` when they do not fit.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result {
        self.pieces(offset, bytes.len(), |to, from| to.store(&bytes[from..]))
    }

    /// Reads into `bytes` from `offset`, in bytes from the first page's start.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there are not so many.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result {
        self.pieces(offset, bytes.len(), |from, to| from.load(&mut bytes[to..]))
    }

    /// Returns the word at `offset`, to be used by kernel and userspace at the same time.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there is none, or `offset` is not a multiple of 4.
    pub fn word(&self, offset: usize) -> Result<&Atomic<u32>> {
        if offset % size_of::<u32>() != 0 {
            return Err(EINVAL);
        }
        let page = self.page(offset / PAGE_SIZE).ok_or(EINVAL)?;
        // SAFETY: `GFP_KERNEL` pages have an address, which is valid while `self` owns them.
        let address = unsafe { bindings::page_address(page) }.cast::<u8>();
        // SAFETY: `offset % PAGE_SIZE` is a multiple of 4 as `offset` is, so that the word lies
        // within the page.
        let word = unsafe { address.add(offset % PAGE_SIZE) }.cast();
        // SAFETY: A page is aligned to its size, hence the word to its own; it was zeroed, and
        // lives as long as `self`. All of the kernel's accesses to it are volatile or LKMM atomics.
        Ok(unsafe { Atomic::from_ptr(word) })
    }
}

/// The order of the largest blocks that the page allocator has (`MAX_PAGE_ORDER`).
const MAX_ORDER: u32 = bindings::MAX_PAGE_ORDER;

/// 2^order physically contiguous pages, zeroed when they were made.
///
/// # Invariants
///
/// `address` is that of a block of 2^`order` pages from `__get_free_pages()`, which this object
/// owns.
pub struct PageBlock {
    address: NonNull<u8>,
    order: u32,
}

// SAFETY: The memory is bound to no thread.
unsafe impl Send for PageBlock {}
// SAFETY: The fields do not change; the bytes are accessed through `Shared` alone, which stands
// accesses at the same time.
unsafe impl Sync for PageBlock {}

impl PageBlock {
    /// Allocates 2^`order` pages. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also when there is no block of that size.
    pub fn new(order: u32) -> Result<Self> {
        if order > MAX_ORDER {
            return Err(ENOMEM);
        }
        // SAFETY: The order is at most `MAX_PAGE_ORDER`; without memory the answer is null.
        let address =
            unsafe { bindings::get_free_pages(bindings::GFP_KERNEL | bindings::__GFP_ZERO, order) };
        // INVARIANT: Just allocated.
        Ok(Self {
            address: NonNull::new(address as *mut u8).ok_or(ENOMEM)?,
            order,
        })
    }

    /// Returns the number of pages.
    pub fn pages(&self) -> usize {
        1 << self.order
    }

    /// Returns the first page frame of `pages` pages from `first` on, if the block has them.
    pub(crate) fn pfn_of_range(&self, first: usize, pages: usize) -> Option<usize> {
        if first.checked_add(pages)? > self.pages() {
            return None;
        }
        // SAFETY: `__get_free_pages()` returns addresses in the kernel's linear mapping only.
        let base = unsafe { bindings::virt_to_pfn(self.address.as_ptr().cast()) };
        Some(base + first)
    }

    fn range(&self, offset: usize, len: usize) -> Result<Shared<'_>> {
        let end = offset.checked_add(len).ok_or(EINVAL)?;
        if end > self.pages() * PAGE_SIZE {
            return Err(EINVAL);
        }
        // SAFETY: `offset` is not beyond the block's end, as was just checked.
        let at = unsafe { self.address.as_ptr().add(offset) };
        // INVARIANT: The range lies within the block, and `self` is borrowed.
        Ok(Shared {
            at,
            len,
            _memory: PhantomData,
        })
    }

    /// Writes `bytes` at `offset`, in bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` when they do not fit.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result {
        self.range(offset, bytes.len())?.store(bytes);
        Ok(())
    }

    /// Reads into `bytes` from `offset`, in bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there are not so many.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result {
        self.range(offset, bytes.len())?.load(bytes);
        Ok(())
    }
}

impl Drop for PageBlock {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the block is ours, of this order, and not used again.
        unsafe { bindings::free_pages(self.address.as_ptr() as usize, self.order) };
    }
}
