// SPDX-License-Identifier: GPL-2.0

//! fallocate(2): allocating memory before it is accessed.
//!
//! C source: `shmem_fallocate()` in [`mm/shmem.c`](srctree/mm/shmem.c)

use crate::{
    bindings,
    error::to_result,
    mm::{
        cache::{
            address_space::TruncateGuard,
            inode::{
                InodeData,
                InodeGuard, //
            },
            insert::{
                preallocate::Preallocation,
                FolioRange, //
            },
            seals, //
        },
        file::rw::WriteFolios, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};
use core::ops::Range;

/// The effect of an allocation past EOF on the size of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// The file grows to the end of the range.
    Grows,
    /// The size stays (`FALLOC_FL_KEEP_SIZE`). Pages past EOF become part of the file when it
    /// grows, and any truncation frees them, even one to the current size.
    Stays,
}

/// Adds zeroed pages for all holes within `len` bytes at `offset`. `folios` chooses their folios as
/// for a write of that range, and is charged with them. May sleep.
///
/// All pages are added, or none: see [`insert`](crate::mm::cache::insert). When the size stays,
/// pages past EOF are in folios of order 0, whatever `folios` chooses, since larger ones must not
/// reach past EOF.
///
/// # Errors
///
/// `EINVAL` for an empty range; `EPERM` past EOF when a seal keeps the file from growing; `EFBIG`
/// past `RLIMIT_FSIZE` or the largest file; the error of [`InodeData::may_resize`]; `ENOSPC` when
/// the quota is exhausted, `ENOMEM` when memory or the memory cgroup's limit is, and `EINTR` when
/// the process is being killed.
pub fn allocate<D: InodeData>(
    guard: &InodeGuard<'_, D>,
    offset: u64,
    len: u64,
    size: Size,
    folios: &impl WriteFolios,
) -> Result {
    let mapping = guard.mapping();
    let end = offset.checked_add(len).ok_or(EFBIG)?;
    if len == 0 {
        return Err(EINVAL);
    }
    let raw_end = bindings::loff_t::try_from(end).map_err(|_| EFBIG)?;
    let from = mapping.size();
    // SAFETY: The inode is valid and locked.
    to_result(unsafe { bindings::inode_newsize_ok(guard.inode.as_raw(), raw_end) })?;
    if end > from {
        guard.check_seals(seals::GROW)?;
    }
    let page = PAGE_SIZE as u64;
    if end.next_multiple_of(page) > i64::MAX as u64 {
        return Err(EFBIG);
    }
    let pages = (offset / page) as usize..end.div_ceil(page) as usize;
    // The quota can never grant such a range: fail early.
    if pages.len() > folios.limit() {
        return Err(ENOSPC);
    }
    let grows = size == Size::Grows && end > from;
    if grows {
        guard.inode.may_resize(end)?;
        guard.zero_tail();
    }
    let eof = mapping.size_pages();
    let room = |missing: Range<usize>| {
        if missing.start >= eof && !grows {
            return FolioRange::page(missing.start);
        }
        let end = missing.end;
        folios.write_room(missing, end)
    };
    let mut new = Preallocation::new(guard);
    new.fill(pages, folios, room, |new| {
        folios.write_added(new.order, new.fell_back);
    })?;
    new.keep(if grows { end } else { 0 });
    if grows {
        D::resized(guard.inode, from, end, 0);
    }
    Ok(())
}
