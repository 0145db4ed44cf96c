// SPDX-License-Identifier: GPL-2.0

//! An owned mapping.

use crate::access::{self, Fault};
use crate::ranges::Ranges;
use crate::{Errno, Result, PAGE_SIZE};
use rustix::mm::{Advice, MlockFlags, MprotectFlags, MsyncFlags};
use std::ffi::c_void;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

/// A range of addresses that belongs to its owner; dropping it unmaps it.
///
/// Offsets count from the start in bytes, pages in [`PAGE_SIZE`]. A part may have been unmapped
/// ([`Mapping::unmap`]) or moved away ([`Mapping::move_part`]); an access to it panics, as one past
/// the length does. An access that the *kernel* refuses is a [`Fault`].
#[derive(Debug)]
pub struct Mapping {
    start: usize,
    len: usize,
    /// The parts that are ours: absolute addresses.
    pub(crate) owned: Ranges,
}

// Any holder of a `&Mapping` may load and store at any time: see the module `access`.

impl Mapping {
    /// Takes ownership of a mapped range.
    ///
    /// # Safety
    ///
    /// The range is mapped, whole pages, and nobody else will access, change or unmap it.
    pub(crate) unsafe fn own(start: usize, len: usize) -> Self {
        Self {
            start,
            len,
            owned: Ranges::of(start..start + len),
        }
    }

    /// Returns the first address.
    pub fn address(&self) -> usize {
        self.start
    }

    /// Returns the length in bytes, including unmapped parts.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether its length is 0.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the length in pages.
    pub fn pages(&self) -> usize {
        self.len / PAGE_SIZE
    }

    /// Returns the address of a byte.
    pub fn address_of(&self, offset: usize) -> usize {
        self.start + offset
    }

    /// Extends or shortens the range that offsets are measured in.
    pub(crate) fn set_range(&mut self, start: usize, len: usize) {
        (self.start, self.len) = (start, len);
    }

    /// Returns the addresses of `len` bytes from `offset`, which are ours.
    ///
    /// # Panics
    ///
    /// If not all of them are ours: that is a bug of the caller.
    #[track_caller]
    pub(crate) fn range(&self, offset: usize, len: usize) -> Range<usize> {
        let range = self
            .start
            .checked_add(offset)
            .and_then(|a| Some(a..a.checked_add(len)?));
        match range {
            Some(range) if self.owned.contains(&range) => range,
            _ => panic!(
                "{len} bytes from {offset:#x} are not in a mapping of {:#x}",
                self.len
            ),
        }
    }

    /// Returns the same addresses as a pointer and a length, for system calls.
    #[track_caller]
    pub(crate) fn pointer(&self, offset: usize, len: usize) -> (*mut c_void, usize) {
        (
            ptr::with_exposed_provenance_mut(self.range(offset, len).start),
            len,
        )
    }

    /// Loads the first byte of a page.
    pub fn touch_read(&self, page: usize) -> Result<u8, Fault> {
        access::load8(self.range(page * PAGE_SIZE, PAGE_SIZE).start)
    }

    /// Stores to the first byte of a page.
    pub fn touch_write(&self, page: usize, value: u8) -> Result<(), Fault> {
        let range = self.range(page * PAGE_SIZE, PAGE_SIZE);
        // SAFETY: The range is this mapping's, and no references are ever made into it.
        unsafe { access::store8(range.start, value) }
    }

    /// Loads eight bytes.
    pub fn read_u64(&self, offset: usize) -> Result<u64, Fault> {
        access::load64(self.range(offset, 8).start)
    }

    /// Stores eight bytes.
    pub fn write_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        let range = self.range(offset, 8);
        // SAFETY: The range is this mapping's, and no references are ever made into it.
        unsafe { access::store64(range.start, value) }
    }

    /// Loads bytes, eight at a time where possible.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) -> Result<(), Fault> {
        let mut at = self.range(offset, buffer.len()).start;
        let mut chunks = buffer.chunks_exact_mut(8);
        for chunk in &mut chunks {
            chunk.copy_from_slice(&access::load64(at)?.to_ne_bytes());
            at += 8;
        }
        for byte in chunks.into_remainder() {
            *byte = access::load8(at)?;
            at += 1;
        }
        Ok(())
    }

    /// Stores bytes, eight at a time where possible.
    pub fn write(&self, offset: usize, data: &[u8]) -> Result<(), Fault> {
        let mut at = self.range(offset, data.len()).start;
        let mut words = data.chunks_exact(8);
        for word in &mut words {
            let mut value = [0; 8];
            value.copy_from_slice(word);
            // SAFETY: `range` checked all of it; no references are ever made into a mapping.
            unsafe { access::store64(at, u64::from_ne_bytes(value)) }?;
            at += 8;
        }
        for byte in words.remainder() {
            // SAFETY: As above.
            unsafe { access::store8(at, *byte) }?;
            at += 1;
        }
        Ok(())
    }

    /// Calls `pwrite(2)` on bytes of this mapping, so that the kernel accesses them.
    pub fn pwrite_from(&self, offset: usize, len: usize, fd: impl AsFd, at: u64) -> Result<usize> {
        let (start, len) = self.pointer(offset, len);
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: The kernel reads from this mapping, or fails with `EFAULT`.
        let n = unsafe { libc::pwrite(fd, start, len, at as i64) };
        usize::try_from(n).map_err(|_| last_error())
    }

    /// Calls `pread(2)` into this mapping.
    pub fn pread_into(&self, offset: usize, len: usize, fd: impl AsFd, at: u64) -> Result<usize> {
        let (start, len) = self.pointer(offset, len);
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: The kernel writes to this mapping, which no references point into, or fails.
        let n = unsafe { libc::pread(fd, start, len, at as i64) };
        usize::try_from(n).map_err(|_| last_error())
    }

    /// Calls `vmsplice(2)` on a page of this mapping and a new pipe, which holds the page until it
    /// is dropped.
    pub fn hold_page(&self, page: usize) -> Result<(OwnedFd, OwnedFd)> {
        let (start, len) = self.pointer(page * PAGE_SIZE, PAGE_SIZE);
        let pipe = rustix::pipe::pipe()?;
        let buffer = libc::iovec {
            iov_base: start,
            iov_len: len,
        };
        // SAFETY: The kernel takes a reference to the page; nothing reads the pipe.
        match unsafe { libc::vmsplice(pipe.1.as_raw_fd(), &raw const buffer, 1, 0) } {
            -1 => Err(last_error()),
            _ => Ok(pipe),
        }
    }

    /// Calls `madvise(2)` with `MADV_COLLAPSE`, which [rustix](mod@rustix) lacks.
    pub fn collapse(&self, offset: usize, len: usize) -> Result<()> {
        let (start, len) = self.pointer(offset, len);
        // SAFETY: The call does not change the contents.
        match unsafe { libc::madvise(start, len, libc::MADV_COLLAPSE) } {
            0 => Ok(()),
            _ => Err(last_error()),
        }
    }

    /// Calls `mincore(2)`, which returns the pages that the object (or, for anonymous memory, this
    /// mapping) holds.
    pub fn mincore(&self, offset: usize, len: usize) -> Result<Vec<bool>> {
        let (start, len) = self.pointer(offset, len);
        let mut answer = vec![0u8; len.div_ceil(PAGE_SIZE)];
        // SAFETY: The kernel writes one byte per page of the range to `answer`, which has as many.
        match unsafe { libc::mincore(start, len, answer.as_mut_ptr()) } {
            0 => Ok(answer.iter().map(|byte| byte & 1 != 0).collect()),
            _ => Err(last_error()),
        }
    }

    /// Calls `mlock(2)`.
    pub fn lock(&self, offset: usize, len: usize) -> Result<()> {
        let (start, len) = self.pointer(offset, len);
        // SAFETY: Locking changes no contents.
        unsafe { rustix::mm::mlock(start, len) }
    }

    /// Calls `mlock2(2)` with `MLOCK_ONFAULT`.
    pub fn lock_on_fault(&self, offset: usize, len: usize) -> Result<()> {
        let (start, len) = self.pointer(offset, len);
        // SAFETY: Locking changes no contents.
        unsafe { rustix::mm::mlock_with(start, len, MlockFlags::ONFAULT) }
    }

    /// Calls `munlock(2)`.
    pub fn unlock(&self, offset: usize, len: usize) -> Result<()> {
        let (start, len) = self.pointer(offset, len);
        // SAFETY: Unlocking changes no contents.
        unsafe { rustix::mm::munlock(start, len) }
    }

    /// Calls `madvise(2)`.
    ///
    /// # Errors
    ///
    /// Those of the call, and `ENOTSUP` for `MADV_DONTFORK`: a child's copy would own addresses
    /// where nothing is mapped, and where its allocator may map something.
    pub fn advise(&self, offset: usize, len: usize, advice: Advice) -> Result<()> {
        if advice == Advice::LinuxDontFork {
            return Err(Errno::NOTSUP);
        }
        let (start, len) = self.pointer(offset, len);
        // SAFETY: The range is this mapping's; no Rust object lies in it, so its contents may
        // change.
        unsafe { rustix::mm::madvise(start, len, advice) }
    }

    /// Calls `mprotect(2)`.
    pub fn protect(&self, offset: usize, len: usize, prot: MprotectFlags) -> Result<()> {
        let (start, len) = self.pointer(offset, len);
        // SAFETY: The range is this mapping's; a forbidden access is a `Fault`.
        unsafe { rustix::mm::mprotect(start, len, prot) }
    }

    /// Calls `msync(2)`.
    pub fn sync(&self, offset: usize, len: usize, flags: MsyncFlags) -> Result<()> {
        let (start, len) = self.pointer(offset, len);
        // SAFETY: The range is this mapping's.
        unsafe { rustix::mm::msync(start, len, flags) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        for range in self.owned.iter() {
            let start = ptr::with_exposed_provenance_mut(range.start);
            // SAFETY: The range is this mapping's, and nothing can access it any more. An error
            // (too many VMAs) leaves it mapped, which is a leak and no more.
            let _ = unsafe { rustix::mm::munmap(start, range.len()) };
        }
    }
}

/// Returns the error of the last call into the C library.
pub(crate) fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
