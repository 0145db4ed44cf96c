// SPDX-License-Identifier: GPL-2.0

//! For KUnit tests: mappings in a real address space, made and used from within the kernel.
//!
//! A test case runs in a kernel thread. [`UserMapping`] gives it an address space
//! (`kunit_attach_mm()`), maps a file there with `vm_mmap()`, and accesses the mapping as a system
//! call accesses its caller's memory: through page faults.
//!
//! C source: [`lib/kunit/user_alloc.c`](srctree/lib/kunit/user_alloc.c)

use crate::{
    bindings,
    current,
    error::to_result,
    fs::File,
    mm::{
        cache::{
            address_space::{
                AddressSpace,
                InvalidateShared, //
            },
            inode::{
                Inode,
                InodeData,
                InodeGuard, //
            }, //
        },
        values,
        virt::VmaRef, //
    },
    page::PAGE_SIZE,
    prelude::*,
    types::NotThreadSafe,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// Takes an inode's lock, as a file operation does. A test holds no other lock.
pub fn lock<D: InodeData>(inode: &Inode<D>) -> InodeGuard<'_, D> {
    inode.lock_now()
}

/// Takes the invalidate lock of a page cache shared, as a page fault does. A test holds no other
/// lock.
pub fn invalidate_lock_shared(mapping: &AddressSpace) -> InvalidateShared<'_> {
    mapping.invalidate_lock_shared()
}

/// The mmap(2) flags of a mapping.
#[derive(Clone, Copy)]
pub enum Share {
    /// `MAP_SHARED`.
    Shared,
    /// `MAP_PRIVATE`.
    Private,
    /// `MAP_SHARED | MAP_POPULATE`.
    SharedPopulate,
}

/// A mapping of a file, readable and writable, in the address space of the test.
///
/// # Invariants
///
/// `len` bytes at `addr` are mapped in the address space of this thread until the drop.
pub struct UserMapping {
    addr: usize,
    len: usize,
    _nts: NotThreadSafe,
}

impl UserMapping {
    /// Maps `pages` pages of `file` from page `pgoff` on, at an address of the kernel's choice.
    ///
    /// # Errors
    ///
    /// Those of mmap(2).
    pub fn new(file: &File, pages: usize, pgoff: usize, share: Share) -> Result<Self> {
        // SAFETY: Attaches a new address space, unless the thread has one; only a kernel thread has
        // none, as `kthread_use_mm()` requires.
        to_result(unsafe { bindings::kunit_attach_mm() })?;
        let flags = match share {
            Share::Shared => bindings::MAP_SHARED,
            Share::Private => bindings::MAP_PRIVATE,
            Share::SharedPopulate => bindings::MAP_SHARED | bindings::MAP_POPULATE,
        };
        let len = pages.checked_mul(PAGE_SIZE).ok_or(EINVAL)?;
        let offset = pgoff.checked_mul(PAGE_SIZE).ok_or(EINVAL)?;
        // SAFETY: The file is valid; `vm_mmap()` checks the other arguments, as those of a system
        // call.
        let addr = unsafe {
            bindings::vm_mmap(
                file.as_ptr(),
                0,
                len,
                (bindings::PROT_READ | bindings::PROT_WRITE) as usize,
                flags as usize,
                offset,
            )
        };
        let addr = values::from_err_value(addr)?;
        // INVARIANT: Just mapped.
        Ok(Self {
            addr,
            len,
            _nts: NotThreadSafe,
        })
    }

    /// Returns the first address.
    pub fn address(&self) -> usize {
        self.addr
    }

    /// Looks up the VMA of page `page`, and calls `f` with it under the mmap lock, held for
    /// reading.
    ///
    /// # Errors
    ///
    /// `ENOENT` when nothing is mapped there; those of `f`.
    pub fn with_vma<R>(&self, page: usize, f: impl FnOnce(&VmaRef) -> Result<R>) -> Result<R> {
        let task = current!();
        let guard = task.mm().ok_or(ENOENT)?.mmap_read_lock();
        f(guard
            .vma_lookup(self.addr + page * PAGE_SIZE)
            .ok_or(ENOENT)?)
    }

    /// Reads the byte at `offset`.
    ///
    /// # Errors
    ///
    /// `EFAULT` when the page fault fails.
    pub fn read(&self, offset: usize) -> Result<u8> {
        let mut byte = [0];
        UserSlice::new(UserPtr::from_addr(self.addr + offset), 1)
            .reader()
            .read_slice(&mut byte)?;
        Ok(byte[0])
    }

    /// Writes the byte at `offset`.
    ///
    /// # Errors
    ///
    /// As for [`UserMapping::read`].
    pub fn write(&self, offset: usize, byte: u8) -> Result {
        UserSlice::new(UserPtr::from_addr(self.addr + offset), 1)
            .writer()
            .write_slice(&[byte])
    }

    /// Unmaps `pages` pages from page `first` on; the rest stays mapped.
    ///
    /// # Errors
    ///
    /// Those of munmap(2), including the driver's `may_split`.
    pub fn unmap_part(&self, first: usize, pages: usize) -> Result {
        // SAFETY: This address space belongs to the test; nothing else uses the range.
        to_result(unsafe { bindings::vm_munmap(self.addr + first * PAGE_SIZE, pages * PAGE_SIZE) })
    }
}

impl Drop for UserMapping {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. `vm_munmap()` skips ranges that are already unmapped.
        unsafe { bindings::vm_munmap(self.addr, self.len) };
        flush_files();
    }
}

/// Waits until files that this thread has closed are released.
///
/// A kernel thread leaves its last `fput()` of a file to a worker. A test that checks the effects
/// of `release` or of freeing an inode must wait for that.
pub fn flush_files() {
    // SAFETY: May sleep, as every test case may.
    unsafe { bindings::flush_delayed_fput() };
}
