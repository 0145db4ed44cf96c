// SPDX-License-Identifier: GPL-2.0

//! read(2) and write(2) over a page cache that has no backing store.
//!
//! The kernel's generic functions fill holes with pages in order to read them. Here a hole stays a
//! hole, as with shmem.
//!
//! C source: [`mm/shmem.c`](srctree/mm/shmem.c) (`shmem_file_read_iter()`),
//! [`mm/filemap.c`](srctree/mm/filemap.c) (`generic_perform_write()`)

use crate::{
    bindings,
    error::to_result,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    mm::{
        cache::{
            address_space::{
                AddressSpace,
                TruncateGuard, //
            },
            folio::Folio,
            inode::{
                Inode,
                InodeData,
                InodeGuard, //
            },
            insert::{
                FolioRange,
                Quota, //
            },
            seals, //
        },
        file::ops::FileKiocb,
        sched::{
            cond_resched,
            fatal_signal_pending, //
        }, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef, //
};
use core::ops::Range;

/// Reads from `inode` at the position of `kiocb`, and advances it. May sleep.
///
/// Returns the number of bytes, 0 at EOF. Holes read as zeroes and stay holes.
///
/// # Errors
///
/// `EFAULT` when nothing could be copied; `EINTR` when the process is being killed; `EIO` when the
/// memory of the page has failed.
pub fn read_iter<T, D: InodeData>(
    inode: &Inode<D>,
    kiocb: &mut FileKiocb<'_, T>,
    iov: &mut IovIterDest<'_>,
) -> Result<usize> {
    let mapping = inode.mapping();
    let mut total = 0;
    while !iov.is_empty() {
        let pos = u64::try_from(kiocb.ki_pos()).map_err(|_| EINVAL)?;
        let index = (pos / PAGE_SIZE as u64) as usize;
        let (folio, size) = look_up(mapping, index);
        if pos >= size {
            break;
        }
        if folio.as_ref().is_some_and(|folio| folio.is_lost(index)) {
            return stopped_after(total, EIO);
        }
        let unit = folio.as_ref().map_or(PAGE_SIZE, |folio| folio.size());
        // A power of two; `%` would add a check against zero.
        let offset = pos as usize & (unit - 1);
        // The pages after this one may be lost.
        let end = match &folio {
            Some(folio) if folio.has_hwpoisoned_page() => (offset | (PAGE_SIZE - 1)) + 1,
            _ => unit,
        };
        let left = usize::try_from(size - pos).unwrap_or(usize::MAX);
        let want = (end - offset).min(left).min(iov.len());
        let copied = match folio {
            Some(folio) => folio.copy_to_iter(offset, want, iov),
            // SAFETY: A valid destination.
            None => unsafe { bindings::iov_iter_zero(want, iov.as_raw()) },
        };
        *kiocb.ki_pos_mut() += copied as i64;
        total += copied;
        if copied < want {
            return stopped_after(total, EFAULT);
        }
        if fatal_signal_pending() {
            return stopped_after(total, EINTR);
        }
        cond_resched();
    }
    Ok(total)
}

/// Returns the folio that holds page `index`, if any, and a matching size of the file, in bytes:
/// every byte before that size is in the folio, or in a hole.
///
/// Readers hold no lock that keeps the size stable. So the result excludes bytes that an append
/// publishes after the lookup, and bytes that a truncation removes.
fn look_up(mapping: &AddressSpace, index: usize) -> (Option<ARef<Folio>>, u64) {
    let before = mapping.size();
    if let Some(folio) = mapping.get_folio(index) {
        return (Some(folio), before.min(mapping.size()));
    }
    // Truncation frees pages before it sets the size: a missing page is a hole only while
    // truncation is held off.
    let held = mapping.invalidate_lock_shared();
    let before = held.mapping().size();
    (mapping.get_folio(index), before)
}

/// The limit up to which write(2) grows a file.
#[derive(Clone, Copy)]
pub enum Growth {
    /// The current size: a write at EOF fails with `ENOSPC`.
    Fixed,
    /// The sizes that [`InodeData::may_resize`] allows.
    Grows,
}

/// The policy and the quota for folios that write(2) adds to a driver's files.
pub trait WriteFolios: Quota {
    /// Returns the room for a new folio that holds the first of `pages` (indexes), all of which
    /// will be written. The file ends, or will end after the write, before page `end`: room past
    /// that is ignored.
    fn write_room(&self, pages: Range<usize>, end: usize) -> FolioRange;

    /// Accounts for a folio of `order` that was added; `fell_back` tells whether a larger one would
    /// fit but was not available.
    fn write_added(&self, order: u32, fell_back: bool) {
        let _ = (order, fell_back);
    }
}

/// Writes to `inode` at the position of `kiocb`, and advances it. May sleep.
///
/// `folios` chooses the folios that fill holes, and is charged with them. Returns the number of
/// bytes written, which is smaller than requested when memory, quota, the source or the end of a
/// file that does not grow stops the write early.
///
/// # Errors
///
/// Those of write(2) before the first byte: `ENOSPC`, `EPERM` for a seal, `EFBIG`, `EFAULT`,
/// `EINTR`, `ENOMEM`, `EIO` when the memory of the folio has failed, and those of
/// [`InodeData::may_resize`].
pub fn write_iter<T, D: InodeData>(
    inode: &Inode<D>,
    kiocb: &mut FileKiocb<'_, T>,
    iov: &mut IovIterSource<'_>,
    growth: Growth,
    folios: &impl WriteFolios,
) -> Result<usize> {
    let guard = inode.lock_now();
    // SAFETY: Both are valid. The function applies O_APPEND and RLIMIT_FSIZE, and clips the source.
    let checked = unsafe { bindings::generic_write_checks(kiocb.as_raw(), iov.as_raw()) };
    if checked <= 0 {
        to_result(checked as c_int)?;
        return Ok(0);
    }
    let pos = u64::try_from(kiocb.ki_pos()).map_err(|_| EINVAL)?;
    let size = inode.mapping().size();
    let wanted = iov.len();
    if let Growth::Fixed = growth {
        if pos >= size {
            return Err(ENOSPC);
        }
        // SAFETY: A valid source.
        unsafe { bindings::iov_iter_truncate(iov.as_raw(), size - pos) };
    }
    let end = pos.checked_add(iov.len() as u64).ok_or(EFBIG)?;
    guard.check_seals(seals::WRITE | seals::FUTURE_WRITE)?;
    if end > size && guard.check_seals(seals::GROW).is_err() {
        // Write the pieces before the one that would grow the file, as `generic_perform_write()`
        // does with `shmem_write_begin()`.
        let piece = (PAGE_SIZE as u64) << inode.mapping().max_order();
        let before = size / piece * piece;
        if before <= pos {
            return Err(EPERM);
        }
        // SAFETY: A valid source.
        unsafe { bindings::iov_iter_truncate(iov.as_raw(), before - pos) };
    }
    let clipped = wanted - iov.len();
    let end = pos.checked_add(iov.len() as u64).ok_or(EFBIG)?;
    if end > size {
        inode.may_resize(end)?;
        guard.zero_tail();
    }
    // SAFETY: The file is open; this drops set-user-ID bits and updates the times.
    to_result(unsafe { bindings::file_modified((*kiocb.as_raw()).ki_filp) })?;
    let result = copy_in(&guard, kiocb, iov, folios);
    if clipped > 0 {
        let left = iov.len();
        // SAFETY: Undoes the clipping above, for callers that use the remaining count.
        unsafe { bindings::iov_iter_reexpand(iov.as_raw(), left + clipped) };
    }
    result
}

/// Copies until the source ends: the loop of [`write_iter`].
fn copy_in<T, D: InodeData>(
    guard: &InodeGuard<'_, D>,
    kiocb: &mut FileKiocb<'_, T>,
    iov: &mut IovIterSource<'_>,
    folios: &impl WriteFolios,
) -> Result<usize> {
    let mut total = 0;
    while !iov.is_empty() {
        if fatal_signal_pending() {
            return stopped_after(total, EINTR);
        }
        let pos = kiocb.ki_pos() as u64;
        let copied = match copy_into_cached(guard, pos, iov) {
            Some(copied) => copied,
            None => copy_into_hole(guard, pos, iov, folios),
        };
        match copied {
            Ok(0) => {
                // The buffer is not resident, and must not be faulted in under the folio lock.
                let want = iov.len().min(PAGE_SIZE);
                // SAFETY: A valid source.
                let missing = unsafe { bindings::fault_in_iov_iter_readable(iov.as_raw(), want) };
                if missing == want {
                    return stopped_after(total, EFAULT);
                }
            }
            Ok(copied) => {
                *kiocb.ki_pos_mut() += copied as i64;
                total += copied;
            }
            // A fault of another thread filled the hole.
            Err(error) if error == EEXIST => {}
            Err(error) => return stopped_after(total, error),
        }
        cond_resched();
    }
    Ok(total)
}

/// Copies into the folio that holds byte `pos`, and returns the number of bytes, 0 when the source
/// is not resident; or `None` where there is a hole.
///
/// # Errors
///
/// `EIO` when the memory of a page of the folio has failed.
fn copy_into_cached<D: InodeData>(
    guard: &InodeGuard<'_, D>,
    pos: u64,
    iov: &mut IovIterSource<'_>,
) -> Option<Result<usize>> {
    let index = (pos / PAGE_SIZE as u64) as usize;
    let mut folio = guard.mapping().lock_folio(index)?;
    if folio.is_lost(index) || folio.has_hwpoisoned_page() {
        return Some(Err(EIO));
    }
    let offset = pos as usize & (folio.size() - 1);
    let copied = folio.copy_from_iter(offset, iov.len(), iov);
    // The copy may extend a partial last page. Set the size before the folio is unlocked.
    if copied > 0 {
        guard.extend(pos + copied as u64);
    }
    Some(Ok(copied))
}

/// Fills the hole at byte `pos`, and returns the number of bytes, which is not 0.
fn copy_into_hole<D: InodeData>(
    guard: &InodeGuard<'_, D>,
    pos: u64,
    iov: &mut IovIterSource<'_>,
    folios: &impl WriteFolios,
) -> Result<usize> {
    let first = (pos / PAGE_SIZE as u64) as usize;
    // The sum was checked when the write began.
    let after = (pos + iov.len() as u64).div_ceil(PAGE_SIZE as u64) as usize;
    let mapping = guard.mapping();
    let end = mapping.size_pages().max(after);
    let room = folios.write_room(first..after, end).within(0..end);
    let written = AddressSpace::add_written(guard, pos, room, iov, folios)?;
    folios.write_added(written.order, written.fell_back);
    Ok(written.copied)
}

/// Returns `total` when read(2) or write(2) stopped after that many bytes, or `error` when it
/// stopped before the first.
fn stopped_after(total: usize, error: Error) -> Result<usize> {
    if total > 0 {
        Ok(total)
    } else {
        Err(error)
    }
}
