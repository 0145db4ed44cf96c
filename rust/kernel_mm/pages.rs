// SPDX-License-Identifier: GPL-2.0

//! Memory of a driver's own that it shows in mappings, outside of any page cache.
//!
//! - [`PageList`]: single pages, each with a reference count. They go into a mapping one by one
//!   (`vm_insert_page()`), and stay alive while they are mapped.
//! - [`PageBlock`]: physically contiguous pages, addressed by page frame. Nobody counts references
//!   to them while they are mapped (`remap_pfn_range()`), so that they must outlive the mappings.
//!
//! Both are zeroed when they are made. The kernel and userspace may read and write them at the same
//! time: the kernel's accesses are those of `READ_ONCE()` and `WRITE_ONCE()`, and see what they
//! see.
//!
//! C header: [`include/linux/gfp.h`](srctree/include/linux/gfp.h)

use crate::ffi;
use core::{
    ptr::NonNull,
    sync::atomic::{
        AtomicU32,
        AtomicU8,
        Ordering, //
    }, //
};
use kernel::{
    bindings,
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// Copies between plain memory and bytes that userspace may use at the same time.
///
/// # Safety
///
/// `at` is valid for atomic accesses of `len` bytes, for all of `'a`.
unsafe fn shared<'a>(at: *mut u8, len: usize) -> &'a [AtomicU8] {
    // SAFETY: By the contract of this function; the layout of the two types is the same.
    unsafe { core::slice::from_raw_parts(at.cast(), len) }
}

fn copy_in(to: &[AtomicU8], from: &[u8]) {
    for (to, from) in to.iter().zip(from) {
        to.store(*from, Ordering::Relaxed);
    }
}

fn copy_out(from: &[AtomicU8], to: &mut [u8]) {
    for (from, to) in from.iter().zip(to) {
        *to = from.load(Ordering::Relaxed);
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
// SAFETY: All accesses are atomic.
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
        usize::try_from(unsafe { ffi::page_count(page) }).ok()
    }

    /// Runs `f` for each piece of `len` bytes at `offset` that lies within one page, in order, with
    /// the piece and its place within the range.
    fn pieces(&self, offset: usize, len: usize, mut f: impl FnMut(&[AtomicU8], usize)) -> Result {
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
            let address = unsafe { ffi::page_address(page) }.cast::<u8>();
            // SAFETY: The piece lies within the page.
            f(unsafe { shared(address.add(within), piece) }, at - offset);
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
        self.pieces(offset, bytes.len(), |to, from| copy_in(to, &bytes[from..]))
    }

    /// Reads into `bytes` from `offset`, in bytes from the first page's start.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there are not so many.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result {
        self.pieces(offset, bytes.len(), |from, to| {
            copy_out(from, &mut bytes[to..])
        })
    }

    /// Returns the word at `offset`, to be used by kernel and userspace at the same time.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there is none, or `offset` is not a multiple of 4.
    pub fn word(&self, offset: usize) -> Result<&AtomicU32> {
        if offset % size_of::<u32>() != 0 {
            return Err(EINVAL);
        }
        let page = self.page(offset / PAGE_SIZE).ok_or(EINVAL)?;
        // SAFETY: As in `pieces`.
        let address = unsafe { ffi::page_address(page) }.cast::<u8>();
        // SAFETY: An aligned word within the page, which lives as long as `self`.
        Ok(unsafe { AtomicU32::from_ptr(address.add(offset % PAGE_SIZE).cast()) })
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
// SAFETY: All accesses are atomic.
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
        // SAFETY: The order is one that there is; without memory the answer is null.
        let address =
            unsafe { ffi::get_free_pages(bindings::GFP_KERNEL | bindings::__GFP_ZERO, order) };
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
        // SAFETY: The address is in the kernel's linear mapping.
        let base = unsafe { ffi::virt_to_pfn(self.address.as_ptr().cast()) };
        Some(base + first)
    }

    fn range(&self, offset: usize, len: usize) -> Result<&[AtomicU8]> {
        let end = offset.checked_add(len).ok_or(EINVAL)?;
        if end > self.pages() * PAGE_SIZE {
            return Err(EINVAL);
        }
        // SAFETY: The range lies within the block, which lives as long as `self`.
        Ok(unsafe { shared(self.address.as_ptr().add(offset), len) })
    }

    /// Writes `bytes` at `offset`, in bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` when they do not fit.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result {
        copy_in(self.range(offset, bytes.len())?, bytes);
        Ok(())
    }

    /// Reads into `bytes` from `offset`, in bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there are not so many.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result {
        copy_out(self.range(offset, bytes.len())?, bytes);
        Ok(())
    }
}

impl Drop for PageBlock {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the block is ours.
        unsafe { bindings::free_pages(self.address.as_ptr() as usize, self.order) };
    }
}
