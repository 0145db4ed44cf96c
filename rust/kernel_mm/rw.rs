// SPDX-License-Identifier: GPL-2.0

//! read(2) and write(2) over a page cache that has no backing store.
//!
//! The kernel's own functions would read holes by filling them with pages. Here a hole stays a
//! hole, as with shmem.
//!
//! C source: [`mm/shmem.c`](srctree/mm/shmem.c) (`shmem_file_read_iter()`),
//! [`mm/filemap.c`](srctree/mm/filemap.c) (`generic_perform_write()`)

use crate::{
    ffi,
    file_ops::FileKiocb,
    folio::LockedFolio,
    inode::{
        Inode,
        InodeData,
        InodeGuard, //
    }, //
};
use core::ops::Range;
use kernel::{
    bindings,
    error::to_result,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};

/// Reads from `inode` at the position of `kiocb`, and advances it. May sleep.
///
/// Returns the number of bytes, 0 at the end of the file. Holes read as zeroes and stay holes.
///
/// # Errors
///
/// `EFAULT` when nothing could be copied; `EINTR` when the process is being killed.
pub fn read_iter<T, D: InodeData>(
    inode: &Inode<D>,
    kiocb: &mut FileKiocb<'_, T>,
    iov: &mut IovIterDest<'_>,
) -> Result<usize> {
    let mapping = inode.mapping();
    let mut total = 0;
    while !iov.is_empty() {
        let pos = u64::try_from(kiocb.ki_pos()).map_err(|_| EINVAL)?;
        let folio = mapping.get_folio((pos / PAGE_SIZE as u64) as usize);
        // After the lookup: a folio that is found is not newer than this size.
        let size = mapping.size();
        if pos >= size {
            break;
        }
        let unit = folio.as_ref().map_or(PAGE_SIZE, |folio| folio.size());
        // A power of two; `%` would bring a check against zero.
        let offset = pos as usize & (unit - 1);
        let left = usize::try_from(size - pos).unwrap_or(usize::MAX);
        let want = (unit - offset).min(left).min(iov.len());
        let copied = match folio.filter(|folio| folio.is_uptodate()) {
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

/// How far a file may grow by being written to.
#[derive(Clone, Copy)]
pub enum Growth {
    /// Not at all: writing at the end is answered with `ENOSPC`.
    Fixed,
    /// As far as [`InodeData::may_resize`] says.
    Grows,
}

/// Writes to `inode` at the position of `kiocb`, and advances it. May sleep.
///
/// `folio_at` finds or makes the folio that holds the first page of a range (indexes), all of which
/// is going to be written; it is called with the inode locked. Returns the number of bytes written,
/// which is smaller than asked when `folio_at` or the end of a file that does not grow stops it on
/// the way.
///
/// # Errors
///
/// Those of write(2) before the first byte: `ENOSPC`, `EFBIG`, `EFAULT`, `EINTR`, and what
/// `folio_at` or [`InodeData::may_resize`] says.
pub fn write_iter<T, D: InodeData>(
    inode: &Inode<D>,
    kiocb: &mut FileKiocb<'_, T>,
    iov: &mut IovIterSource<'_>,
    growth: Growth,
    folio_at: impl Fn(&InodeGuard<'_, D>, Range<usize>) -> Result<LockedFolio>,
) -> Result<usize> {
    let guard = inode.lock();
    // SAFETY: Both are valid. This takes O_APPEND and RLIMIT_FSIZE into account, and clips.
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
        unsafe { ffi::iov_iter_truncate(iov.as_raw(), size - pos) };
    }
    let clipped = wanted - iov.len();
    let end = pos.checked_add(iov.len() as u64).ok_or(EFBIG)?;
    if end > size {
        inode.may_resize(end)?;
        guard.zero_tail();
    }
    // SAFETY: The file is open; this drops set-user-ID bits and updates the times.
    to_result(unsafe { bindings::file_modified((*kiocb.as_raw()).ki_filp) })?;
    let mut reach = 0;
    let result = copy_in(&guard, kiocb, iov, folio_at, &mut reach);
    // The error of the write is the one to tell.
    let trimmed = guard.trim(reach);
    let result = result.and_then(|written| match trimmed {
        Err(error) if written == 0 => Err(error),
        _ => Ok(written),
    });
    if clipped > 0 {
        let left = iov.len();
        // SAFETY: Undoes the clipping above, for callers that look at what is left.
        unsafe { ffi::iov_iter_reexpand(iov.as_raw(), left + clipped) };
    }
    result
}

/// The copy loop of [`write_iter`]; `reach` is set to where the last folio ends, in bytes.
fn copy_in<T, D: InodeData>(
    guard: &InodeGuard<'_, D>,
    kiocb: &mut FileKiocb<'_, T>,
    iov: &mut IovIterSource<'_>,
    folio_at: impl Fn(&InodeGuard<'_, D>, Range<usize>) -> Result<LockedFolio>,
    reach: &mut u64,
) -> Result<usize> {
    let mut total = 0;
    while !iov.is_empty() {
        if fatal_signal_pending() {
            return stopped_after(total, EINTR);
        }
        let pos = kiocb.ki_pos() as u64;
        let first = (pos / PAGE_SIZE as u64) as usize;
        // The sum was checked when the write began.
        let end = (pos + iov.len() as u64).div_ceil(PAGE_SIZE as u64) as usize;
        let mut folio = match folio_at(guard, first..end) {
            Ok(folio) => folio,
            Err(error) => return stopped_after(total, error),
        };
        let offset = pos as usize & (folio.size() - 1);
        let want = (folio.size() - offset).min(iov.len());
        *reach = pos + (folio.size() - offset) as u64;
        let copied = folio.copy_from_iter(offset, want, iov);
        drop(folio);
        if copied > 0 {
            *kiocb.ki_pos_mut() += copied as i64;
            total += copied;
            guard.extend(pos + copied as u64);
        } else {
            // The buffer is not resident, and could not be made so under the folio lock.
            // SAFETY: A valid source.
            let missing =
                unsafe { bindings::fault_in_iov_iter_readable(iov.as_raw(), want.min(PAGE_SIZE)) };
            if missing == want.min(PAGE_SIZE) {
                return stopped_after(total, EFAULT);
            }
        }
        cond_resched();
    }
    Ok(total)
}

/// What read(2) and write(2) say when they are stopped after `total` bytes: those, or if there are
/// none, why.
fn stopped_after(total: usize, error: Error) -> Result<usize> {
    if total > 0 {
        Ok(total)
    } else {
        Err(error)
    }
}

fn fatal_signal_pending() -> bool {
    // SAFETY: Asks about the current task.
    unsafe { ffi::fatal_signal_pending() }
}

fn cond_resched() {
    // SAFETY: The callers may sleep: they hold no spinlock and are under no RCU read lock.
    unsafe { ffi::cond_resched() };
}
