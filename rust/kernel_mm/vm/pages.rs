// SPDX-License-Identifier: GPL-2.0

//! A driver's own memory that it maps to userspace, outside of any page cache.
//!
//! - [`PageList`]: single pages, each with a reference count. They are mapped one by one
//!   (`vm_insert_page()`), and stay allocated while they are mapped.
//! - [`PageBlock`]: physically contiguous pages, mapped by page frame. The mappings hold no
//!   references to them (`remap_pfn_range()`), so the block must outlive the mappings.
//!
//! Both are zeroed at allocation. The kernel and userspace may access them concurrently: the kernel
//! reads and writes each byte with `READ_ONCE()` and `WRITE_ONCE()`, without any ordering. Words of
//! a [`PageList`] are the kernel's atomics ([`Atomic`]). Their memory model (LKMM) allows
//! concurrent accesses of different sizes to the same bytes, as in C: each is one instruction.
//! (Rust's own atomics, `core::sync::atomic`, forbid it.)
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

/// Bytes that userspace may access concurrently.
///
/// # Invariants
///
/// `at` is valid for reads and writes of `len` bytes for all of `'a`, and the only Rust references
/// to them are those of [`PageList::word`].
struct Shared<'a> {
    at: *mut u8,
    len: usize,
    _memory: PhantomData<&'a ()>,
}

impl Shared<'_> {
    /// Stores `bytes` from the beginning on; drops those that do not fit.
    fn store(&self, bytes: &[u8]) {
        for (index, byte) in bytes.iter().take(self.len).enumerate() {
            // SAFETY: By the type invariants. Concurrent accesses to the byte are no data race in
            // the kernel's memory model, since a volatile access of a byte is one instruction
            // (`WRITE_ONCE()`).
            unsafe { self.at.add(index).write_volatile(*byte) };
        }
    }

    /// Fills `bytes` from the beginning on, with as many bytes as there are.
    fn load(&self, bytes: &mut [u8]) {
        for (index, byte) in bytes.iter_mut().take(self.len).enumerate() {
            // SAFETY: As in `store` (`READ_ONCE()`).
            *byte = unsafe { self.at.add(index).read_volatile() };
        }
    }
}

/// Single pages, zeroed at allocation.
///
/// # Examples
///
/// ```
/// use kernel::{
///     mm::vm::pages::PageList,
///     page::PAGE_SIZE, //
/// };
///
/// let pages = PageList::new(2)?;
/// // Two bytes, one in each page.
/// pages.write(PAGE_SIZE - 1, &[1, 2])?;
/// let mut bytes = [0; 3];
/// pages.read(PAGE_SIZE - 1, &mut bytes)?;
/// assert_eq!(bytes, [1, 2, 0]);
/// assert!(pages.write(2 * PAGE_SIZE, &[0]).is_err());
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// `raw` points to `pages`, in the same order.
pub struct PageList {
    pages: KVec<Page>,
    raw: KVec<*mut bindings::page>,
}

// SAFETY: The list owns the pages, which are bound to no thread; the pointers are to them.
unsafe impl Send for PageList {}
// SAFETY: The vectors do not change; the pages' bytes are accessed through `Shared` and `Atomic`
// only, which allow concurrent accesses.
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
            // INVARIANT: Both vectors get the same page.
            raw.push(page.as_ptr(), GFP_KERNEL)?;
            pages.push(page, GFP_KERNEL)?;
        }
        Ok(Self { pages, raw })
    }

    /// Returns the number of pages.
    #[inline]
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Returns whether there are no pages.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Returns the array of page pointers for C, which does not write to it.
    #[inline]
    pub(crate) fn as_raw(&self) -> *mut *mut bindings::page {
        self.raw.as_ptr().cast_mut()
    }

    #[inline]
    pub(crate) fn page(&self, index: usize) -> Option<*mut bindings::page> {
        self.raw.get(index).copied()
    }

    /// Returns the reference count of page `index`: one for the list, and one for each page table
    /// that maps the page. It may change at any time.
    #[inline]
    pub fn references(&self, index: usize) -> Option<usize> {
        let page = self.page(index)?;
        // SAFETY: The list owns the page.
        usize::try_from(unsafe { bindings::page_count(page) }).ok()
    }

    /// Calls `f` for each piece of `len` bytes at `offset` that lies within one page, in order,
    /// with the piece and its offset in the range.
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
            // INVARIANT: The piece does not cross the end of the page, and `self` is borrowed.
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
    #[inline]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result {
        self.pieces(offset, bytes.len(), |to, from| to.store(&bytes[from..]))
    }

    /// Reads into `bytes` from `offset`, in bytes from the first page's start.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the pages end before that.
    #[inline]
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result {
        self.pieces(offset, bytes.len(), |from, to| from.load(&mut bytes[to..]))
    }

    /// Returns the word at `offset`, which kernel and userspace may access concurrently.
    ///
    /// # Errors
    ///
    /// `EINVAL` when `offset` is past the last page, or not a multiple of 4.
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

/// The largest order of the page allocator.
const MAX_ORDER: u32 = bindings::MAX_PAGE_ORDER;

/// 2^order physically contiguous pages, zeroed at allocation.
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
// SAFETY: The fields do not change; the bytes are accessed through `Shared` only, which allows
// concurrent accesses.
unsafe impl Sync for PageBlock {}

impl PageBlock {
    /// Allocates 2^`order` pages. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also when `order` is above `MAX_PAGE_ORDER`.
    pub fn new(order: u32) -> Result<Self> {
        if order > MAX_ORDER {
            return Err(ENOMEM);
        }
        // SAFETY: The order is at most `MAX_PAGE_ORDER`; without memory the function returns 0.
        let address =
            unsafe { bindings::get_free_pages(bindings::GFP_KERNEL | bindings::__GFP_ZERO, order) };
        // INVARIANT: Just allocated.
        Ok(Self {
            address: NonNull::new(address as *mut u8).ok_or(ENOMEM)?,
            order,
        })
    }

    /// Returns the number of pages.
    #[inline]
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
        // SAFETY: `offset` is not past the block's end, as was just checked.
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
    #[inline]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result {
        self.range(offset, bytes.len())?.store(bytes);
        Ok(())
    }

    /// Reads into `bytes` from `offset`, in bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the pages end before that.
    #[inline]
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
