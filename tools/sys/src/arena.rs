// SPDX-License-Identifier: GPL-2.0

//! Addresses on which any memory management call is safe, with any arguments.
//!
//! An [`Arena`] is a range of addresses that no other part of a program uses, whether something is
//! mapped there or not. It is far below the addresses that the kernel chooses for calls without an
//! address: the kernel searches from the top down and takes the first gap that fits
//! (`vm_unmapped_area()` in mm/vma.c), and the gap above the arenas is about 64 TiB wide.
//!
//! Offsets are in bytes from the arena's start. A call on a range that leaves the arena fails with
//! `EFAULT` and does not reach the kernel.

use crate::access::{self, Fault};
use crate::mapping::last_error;
use crate::{Errno, Result};
use rustix::process::Pid;
use std::ffi::c_void;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of arenas that a process can have.
pub const ARENAS: usize = 8;

/// The distance between two arenas, and between the first and address 0.
const DISTANCE: usize = 1 << 41;

/// A bit for each arena in use.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A range of addresses for one owner. A forked child has the same one.
#[derive(Debug)]
pub struct Arena {
    start: usize,
    len: usize,
}

/// A part of an arena: its start and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// First byte.
    pub at: usize,
    /// Number of bytes.
    pub len: usize,
}

impl Part {
    /// Makes a part of `len` bytes from `at` on.
    pub fn new(at: usize, len: usize) -> Self {
        Self { at, len }
    }
}

impl Arena {
    /// Takes arena `number`, `len` bytes long. Nothing is mapped there.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is taken; `EINVAL` for a number or a length that is too large.
    pub fn take(number: usize, len: usize) -> Result<Self> {
        if number >= ARENAS || len > DISTANCE / 2 {
            return Err(Errno::INVAL);
        }
        if TAKEN.fetch_or(1 << number, Ordering::Relaxed) & (1 << number) != 0 {
            return Err(Errno::BUSY);
        }
        Ok(Self {
            start: (number + 1) * DISTANCE,
            len,
        })
    }

    /// Returns the first address.
    pub fn address(&self) -> usize {
        self.start
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether its length is 0.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the addresses of a part.
    fn range(&self, part: Part) -> Result<Range<usize>> {
        let end = part.at.checked_add(part.len).ok_or(Errno::FAULT)?;
        // The kernel rounds up to pages; the length is a multiple of all sizes of pages.
        if end > self.len {
            return Err(Errno::FAULT);
        }
        Ok(self.start + part.at..self.start + end)
    }

    fn pointer(&self, part: Part) -> Result<(*mut c_void, usize)> {
        let range = self.range(part)?;
        Ok((
            ptr::with_exposed_provenance_mut(range.start),
            range.end - range.start,
        ))
    }

    /// Calls `mmap(2)` with `MAP_FIXED` and any other flags but `MAP_GROWSDOWN`, which lets a
    /// mapping leave the arena.
    pub fn map(&self, part: Part, prot: i32, flags: i32, fd: impl AsFd, offset: u64) -> Result<()> {
        let (pointer, len) = self.pointer(part)?;
        let flags = (flags & !libc::MAP_GROWSDOWN) | libc::MAP_FIXED;
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: The range is the arena's, which nobody has references into.
        let found = unsafe { libc::mmap(pointer, len, prot, flags, fd, offset as i64) };
        match found {
            libc::MAP_FAILED => Err(last_error()),
            _ => Ok(()),
        }
    }

    /// Calls `munmap(2)`.
    pub fn unmap(&self, part: Part) -> Result<()> {
        let (pointer, len) = self.pointer(part)?;
        // SAFETY: As in `map`.
        done(unsafe { libc::munmap(pointer, len) })
    }

    /// Calls `mprotect(2)`.
    pub fn protect(&self, part: Part, prot: i32) -> Result<()> {
        let (pointer, len) = self.pointer(part)?;
        // SAFETY: As in `map`.
        done(unsafe { libc::mprotect(pointer, len, prot) })
    }

    /// Calls `madvise(2)` with any advice.
    pub fn advise(&self, part: Part, advice: i32) -> Result<()> {
        let (pointer, len) = self.pointer(part)?;
        // SAFETY: As in `map`. Nobody relies on the contents, so the advice may change them.
        done(unsafe { libc::madvise(pointer, len, advice) })
    }

    /// Calls `mremap(2)` within the arena: to `to`, or in place.
    ///
    /// # Errors
    ///
    /// Those of the call, and `EINVAL` for flags that let the kernel choose the address.
    pub fn remap(&self, part: Part, new: usize, flags: i32, to: Option<usize>) -> Result<()> {
        let (pointer, len) = self.pointer(part)?;
        let free = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        if to.is_none() && flags & free != 0 {
            return Err(Errno::INVAL);
        }
        let (target, _) = self.pointer(Part::new(to.unwrap_or(part.at), new))?;
        let flags = flags | if to.is_some() { free } else { 0 };
        // SAFETY: Both ranges are the arena's.
        match unsafe { libc::mremap(pointer, len, new, flags, target) } {
            libc::MAP_FAILED => Err(last_error()),
            _ => Ok(()),
        }
    }

    /// Calls `mlock2(2)`.
    pub fn lock(&self, part: Part, flags: u32) -> Result<()> {
        let (pointer, len) = self.pointer(part)?;
        // SAFETY: Locking does not change memory.
        done(unsafe { libc::mlock2(pointer, len, flags) })
    }

    /// Calls `munlock(2)`.
    pub fn unlock(&self, part: Part) -> Result<()> {
        let (pointer, len) = self.pointer(part)?;
        // SAFETY: As in `lock`.
        done(unsafe { libc::munlock(pointer, len) })
    }

    /// Calls `msync(2)`.
    pub fn sync(&self, part: Part, flags: i32) -> Result<()> {
        let (pointer, len) = self.pointer(part)?;
        // SAFETY: As in `map`.
        done(unsafe { libc::msync(pointer, len, flags) })
    }

    /// Calls `mincore(2)`, which returns a byte for each page.
    pub fn incore(&self, part: Part) -> Result<Vec<u8>> {
        let (pointer, len) = self.pointer(part)?;
        let mut pages = vec![0; len.div_ceil(crate::PAGE_SIZE)];
        // SAFETY: There is a byte for each page.
        done(unsafe { libc::mincore(pointer, len, pages.as_mut_ptr()) })?;
        Ok(pages)
    }

    /// Loads eight bytes. An address outside the arena faults like any other.
    pub fn load(&self, at: usize) -> Result<u64, Fault> {
        access::load64(self.start.wrapping_add(at))
    }

    /// Stores eight bytes.
    ///
    /// # Panics
    ///
    /// If they do not lie within the arena.
    pub fn store(&self, at: usize, value: u64) -> Result<(), Fault> {
        let range = self.range(Part::new(at, 8));
        let address = range.expect("the store is within the arena").start;
        // SAFETY: The arena's, which no reference points into.
        unsafe { access::store64(address, value) }
    }

    /// Calls `preadv(2)` into parts of the arena, or `readv(2)` without an offset.
    pub fn read(&self, fd: impl AsFd, parts: &[Part], offset: Option<u64>) -> Result<usize> {
        let vector = self.vector(parts)?;
        let (fd, n) = (fd.as_fd().as_raw_fd(), vector.len() as i32);
        // SAFETY: The kernel writes to the arena, which nobody has references into, or fails.
        count(unsafe {
            match offset {
                Some(offset) => libc::preadv(fd, vector.as_ptr(), n, offset as i64),
                None => libc::readv(fd, vector.as_ptr(), n),
            }
        })
    }

    /// Calls `pwritev(2)` from parts of the arena, or `writev(2)` without an offset.
    pub fn write(&self, fd: impl AsFd, parts: &[Part], offset: Option<u64>) -> Result<usize> {
        let vector = self.vector(parts)?;
        let (fd, n) = (fd.as_fd().as_raw_fd(), vector.len() as i32);
        // SAFETY: The kernel reads from the arena, or fails.
        count(unsafe {
            match offset {
                Some(offset) => libc::pwritev(fd, vector.as_ptr(), n, offset as i64),
                None => libc::writev(fd, vector.as_ptr(), n),
            }
        })
    }

    /// Calls `vmsplice(2)` for parts of the arena into a pipe.
    pub fn splice(&self, pipe: impl AsFd, parts: &[Part], flags: u32) -> Result<usize> {
        let vector = self.vector(parts)?;
        let fd = pipe.as_fd().as_raw_fd();
        // SAFETY: The kernel takes references to pages of the arena, or fails. With the flag
        // SPLICE_F_GIFT it may take the pages away, whose contents nobody relies on.
        count(unsafe { libc::vmsplice(fd, vector.as_ptr(), vector.len(), flags) })
    }

    /// Calls `process_vm_readv(2)` on the arena with the same number in another process.
    pub fn peek(&self, pid: Pid, part: Part, to: &mut [u8]) -> Result<usize> {
        let (local, remote) = self.pair(to.as_mut_ptr(), to.len(), part)?;
        let pid = pid.as_raw_nonzero().get();
        // SAFETY: The kernel writes to `to`, and only as many bytes as it has.
        count(unsafe { libc::process_vm_readv(pid, &local, 1, &remote, 1, 0) })
    }

    /// Calls `process_vm_writev(2)` on the arena with the same number in another process.
    pub fn poke(&self, pid: Pid, part: Part, from: &[u8]) -> Result<usize> {
        let (local, remote) = self.pair(from.as_ptr().cast_mut(), from.len(), part)?;
        let pid = pid.as_raw_nonzero().get();
        // SAFETY: The kernel reads from `from`. In this process it writes to the arena only.
        count(unsafe { libc::process_vm_writev(pid, &local, 1, &remote, 1, 0) })
    }

    fn pair(&self, local: *mut u8, len: usize, part: Part) -> Result<(libc::iovec, libc::iovec)> {
        let (remote, remote_len) = self.pointer(part)?;
        let local = libc::iovec {
            iov_base: local.cast(),
            iov_len: len,
        };
        let remote = libc::iovec {
            iov_base: remote,
            iov_len: remote_len,
        };
        Ok((local, remote))
    }

    fn vector(&self, parts: &[Part]) -> Result<Vec<libc::iovec>> {
        let one = |part: &Part| {
            let (iov_base, iov_len) = self.pointer(*part)?;
            Ok(libc::iovec { iov_base, iov_len })
        };
        parts.iter().map(one).collect()
    }
}

/// Turns the return value of a system call that returns only success into a result.
fn done(ret: i32) -> Result<()> {
    match ret {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Turns a returned number of bytes into a result.
fn count(ret: isize) -> Result<usize> {
    usize::try_from(ret).map_err(|_| last_error())
}
