// SPDX-License-Identifier: GPL-2.0

//! Memory failure: what becomes of a page of a file when its memory fails.
//!
//! There is no copy of the page anywhere, so every later access must fail. As shmem does, the file
//! keeps something in the page's place until the page is truncated or discarded. shmem keeps the
//! failed page itself; but memory_failure() knows that of shmem and hugetlb only, and reports any
//! other page cache reference as a failure (`has_extra_refcount()`): the hardware's handler then
//! leaves the failed page in the kernel's linear mapping and kills the task. Here a page that is
//! not up to date takes the place of the failed one, which is what a page that could not be read
//! is in any file: read(2) and write(2) answer `EIO`, and a fault answers `VM_FAULT_HWPOISON`.
//!
//! The number of pages in the page cache does not change, and neither does what a driver has
//! charged for them.
//!
//! C source: `me_pagecache_clean()`, `truncate_error_folio()` in
//! [`mm/memory-failure.c`](srctree/mm/memory-failure.c); `shmem_error_remove_folio()` in
//! [`mm/shmem.c`](srctree/mm/shmem.c)

use crate::{
    bindings,
    error::{
        from_err_ptr,
        from_result,
        to_result, //
    },
    mm::{
        cache::folio::{
            Folio,
            LockedFolio, //
        },
        values, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        rcu, //
    }, //
};
use core::ptr::NonNull;

/// `address_space_operations.error_remove_folio`: puts a page that is not up to date in the place
/// of `folio`. May sleep.
///
/// # Safety
///
/// As memory_failure() calls it: `folio` is locked, is in `mapping` and mapped nowhere, and the
/// caller holds a reference.
pub(crate) unsafe extern "C" fn error_remove_folio(
    mapping: *mut bindings::address_space,
    folio: *mut bindings::folio,
) -> c_int {
    from_result(|| {
        // SAFETY: The caller's reference keeps the folio; its lock keeps it in one piece.
        if unsafe { bindings::folio_order(folio) } != 0 {
            // memory_failure() splits large folios before, and does not come here if it cannot.
            return Err(EBUSY);
        }
        // SAFETY: The mapping is valid, and with it its host: eviction waits for the folio's lock.
        let sb = unsafe { (*(*mapping).host).i_sb };
        // SAFETY: As above, the superblock of an inode that is not evicted is live.
        let lost = unsafe { charged(sb, mapping) }?;
        // SAFETY: Both folios are locked and of order 0, `folio` is in `mapping`, and `lost` is in
        // no page cache: `charged()` says so. Only the XArray's lock is needed besides, which the
        // function takes.
        unsafe { bindings::replace_page_cache_folio(folio, lost.as_raw()) };
        // Until `lost` is unlocked the inode cannot be evicted, and keeps this module. Unloading
        // waits for RCU readers between the module's exit and the end of its code
        // (`free_module()`), so that this function ends before.
        let rcu = rcu::read_lock();
        drop(lost);
        drop(rcu);
        Ok(0)
    })
}

/// Makes a page that is not up to date, is charged to the memory cgroup of this task, and is in no
/// page cache. It is dirty: nothing but truncation takes such a page out of a page cache.
///
/// # Safety
///
/// `sb` is a live superblock whose `evict_inode` accepts an inode without data, `mapping` is a page
/// cache of it.
unsafe fn charged(
    sb: *mut bindings::super_block,
    mapping: *mut bindings::address_space,
) -> Result<LockedFolio<'static>> {
    // SAFETY: The page cache is valid.
    let gfp = unsafe { bindings::mapping_gfp_mask(mapping) } | values::GFP_SOFT;
    // SAFETY: Any flags are fine; without memory the answer is null.
    let folio = NonNull::new(unsafe { bindings::folio_alloc(gfp, 0) }).ok_or(ENOMEM)?;
    // SAFETY: The reference of a new folio is ours.
    let folio = unsafe { ARef::<Folio>::from_raw(folio.cast()) };
    // A module can charge a page only by adding it to a page cache: to that of a file which exists
    // for this alone.
    // SAFETY: The superblock is live.
    let inode = from_err_ptr(unsafe { bindings::alloc_anon_inode(sb) })?;
    // SAFETY: The inode is new, nobody else uses it. `generic_error_remove_folio()` wants a regular
    // file.
    let scratch = unsafe {
        (*inode).i_mode = (bindings::S_IFREG | 0o600) as bindings::umode_t;
        (*inode).i_mapping
    };
    // SAFETY: Both are valid, and nobody else knows either.
    let added = to_result(unsafe { bindings::filemap_add_folio(scratch, folio.as_raw(), 0, gfp) });
    let lost = added.and_then(|()| {
        // SAFETY: `filemap_add_folio()` locked the folio for us.
        let folio = unsafe { LockedFolio::from_locked(folio) };
        // SAFETY: The folio is locked and in this page cache. It stays charged until it is freed.
        to_result(unsafe { bindings::generic_error_remove_folio(scratch, folio.as_raw()) })?;
        // SAFETY: The folio is locked; removal cleared the flag, if it was set.
        unsafe { bindings::folio_set_dirty(folio.as_raw()) };
        Ok(folio)
    });
    // SAFETY: The reference is the one of `alloc_anon_inode()`.
    unsafe { bindings::iput(inode) };
    lost
}
