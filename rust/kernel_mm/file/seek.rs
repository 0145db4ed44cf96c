// SPDX-License-Identifier: GPL-2.0

//! lseek(2) in files whose holes are the pages that the page cache lacks.
//!
//! The kernel's `generic_file_llseek()` treats the whole file as data, and its
//! `mapping_seek_hole_data()` is not exported.
//!
//! C source: `shmem_file_llseek()` in [`mm/shmem.c`](srctree/mm/shmem.c)

use crate::{
    bindings,
    mm::cache::address_space::AddressSpace,
    page::PAGE_SIZE,
    prelude::*, //
};

/// Implements the `llseek` callback.
///
/// # Safety
///
/// `file` is open, and the inode of its page cache is not locked by this thread.
pub(crate) unsafe extern "C" fn llseek(
    file: *mut bindings::file,
    offset: bindings::loff_t,
    whence: c_int,
) -> bindings::loff_t {
    let is_data = whence as u32 == bindings::SEEK_DATA;
    if !is_data && whence as u32 != bindings::SEEK_HOLE {
        // SAFETY: The file is open.
        return unsafe { bindings::generic_file_llseek(file, offset, whence) };
    }
    let none = bindings::loff_t::from(ENXIO.to_errno());
    let Ok(from) = u64::try_from(offset) else {
        return none;
    };
    // SAFETY: An open file has a page cache, which lives as long as the file.
    let mapping = unsafe { AddressSpace::from_raw((*file).f_mapping) };
    // SAFETY: A page cache has an inode, which lives as long as the page cache.
    let inode = unsafe { (*mapping.as_raw()).host };
    // SAFETY: The inode is valid, and not locked by this thread.
    unsafe { bindings::inode_lock(inode) };
    let found = match find(mapping, from, is_data) {
        // SAFETY: The file is open; the offset is at most the file's size.
        Some(found) => unsafe {
            bindings::vfs_setpos(file, found as bindings::loff_t, bindings::loff_t::MAX)
        },
        None => none,
    };
    // SAFETY: Locked above.
    unsafe { bindings::inode_unlock(inode) };
    found
}

/// Returns the first byte from `from` on that is data, or that is in a hole if `data` is false. EOF
/// is a hole.
fn find(mapping: &AddressSpace, from: u64, data: bool) -> Option<u64> {
    let size = mapping.size();
    if from >= size {
        return None;
    }
    let index = (from / PAGE_SIZE as u64) as usize;
    let end = mapping.size_pages();
    let page = match data {
        true => mapping.first_page(index, end),
        false => mapping.first_missing(index, end - index),
    };
    let found = from.max(page as u64 * PAGE_SIZE as u64);
    if data {
        (found < size).then_some(found)
    } else {
        Some(found.min(size))
    }
}
