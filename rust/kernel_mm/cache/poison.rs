// SPDX-License-Identifier: GPL-2.0

//! Memory failure: how the page cache handles a page whose memory fails.
//!
//! There is no copy of the page anywhere, so every later access must fail. As with shmem, a page
//! stays in its place until the file is truncated or the range is discarded. shmem keeps the failed
//! page itself. But memory_failure() allows that for shmem and hugetlb only, and reports any other
//! page cache reference as a failure (`has_extra_refcount()`): the machine check handler then
//! leaves the failed page in the kernel's linear mapping and kills the task. Here a page that is
//! not up to date replaces the failed one, like a page of any file that could not be read: read(2)
//! and write(2) fail with `EIO`, and a fault returns `VM_FAULT_HWPOISON`.
//!
//! The number of pages in the page cache does not change, and neither does a driver's charge for
//! them.
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

/// Replaces `folio` with a page that is not up to date
/// (`address_space_operations.error_remove_folio`). May sleep.
///
/// # Safety
///
/// `folio` is locked, is in `mapping` and is not mapped, and the caller holds a reference, as
/// memory_failure() guarantees.
pub(crate) unsafe extern "C" fn error_remove_folio(
    mapping: *mut bindings::address_space,
    folio: *mut bindings::folio,
) -> c_int {
    from_result(|| {
        // SAFETY: The caller's reference keeps the folio alive; its lock prevents a split.
        if unsafe { bindings::folio_order(folio) } != 0 {
            // memory_failure() splits large folios first, and does not get here if that fails.
            return Err(EBUSY);
        }
        // SAFETY: The mapping and its host are valid: eviction waits for the folio's lock.
        let sb = unsafe { (*(*mapping).host).i_sb };
        // SAFETY: As above, the superblock of an inode that is not evicted is live.
        let lost = unsafe { charged(sb, mapping) }?;
        // SAFETY: Both folios are locked and of order 0, `folio` is in `mapping`, and `lost` is in
        // no page cache: `charged()` guarantees that. The function takes the XArray's lock, the
        // only other one that is needed.
        unsafe { bindings::replace_page_cache_folio(folio, lost.as_raw()) };
        // Until `lost` is unlocked the inode cannot be evicted, and keeps this module loaded. After
        // the module's exit, unloading waits for RCU readers before it frees the code
        // (`free_module()`), so that this function ends first.
        let rcu = rcu::read_lock();
        drop(lost);
        drop(rcu);
        Ok(0)
    })
}

/// Allocates a page that is not up to date, is charged to this task's memory cgroup, and is in no
/// page cache. It is dirty, so that only truncation removes it from a page cache.
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
    // SAFETY: Any flags are valid; without memory the function returns null.
    let folio = NonNull::new(unsafe { bindings::folio_alloc(gfp, 0) }).ok_or(ENOMEM)?;
    // SAFETY: The reference of a new folio is ours.
    let folio = unsafe { ARef::<Folio>::from_raw(folio.cast()) };
    // A module can charge a page only by adding it to a page cache: here to that of an inode which
    // exists for this purpose only.
    // SAFETY: The superblock is live.
    let inode = from_err_ptr(unsafe { bindings::alloc_anon_inode(sb) })?;
    // SAFETY: The inode is new, no other code uses it. `generic_error_remove_folio()` requires a
    // regular file.
    let scratch = unsafe {
        (*inode).i_mode = (bindings::S_IFREG | 0o600) as bindings::umode_t;
        (*inode).i_mapping
    };
    // SAFETY: Both are valid, and no other code can see either.
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
