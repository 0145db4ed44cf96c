// SPDX-License-Identifier: GPL-2.0

//! Seals: restrictions on a file in memory that cannot be removed again.
//!
//! They are memfd's. fcntl(2) supports them for shmem and hugetlb only (`memfd_file_seals_ptr()` in
//! mm/memfd.c), so that a driver offers them by an ioctl of its own. The library enforces them for
//! the size, the contents and the mode; the driver's mmap(2) hook enforces them for new mappings
//! ([`Seals::denies_store`]).
//!
//! memfd denies writable mappings by a negative `i_mmap_writable`. mmap(2) checks memfd's seals
//! (`memfd_check_seals_mmap()`) before the core checks that counter (`mmap_region()`). It calls a
//! driver's hook after both, so that a negative counter would deny shared read-only mappings as
//! well. Here the seal is set first, and then the writable mappings are counted: a concurrent
//! mmap(2) is either counted, or its hook sees the seal.
//!
//! C source: [`mm/memfd.c`](srctree/mm/memfd.c)

use crate::{
    bindings,
    mm::{
        cache::{
            inode::{
                InodeData,
                InodeGuard, //
            },
            pins::wait_for_pins, //
        }, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    }, //
};

/// `F_SEAL_SEAL`: no more seals.
pub const SEAL: u32 = 0x01;
/// `F_SEAL_SHRINK`: the file does not shrink.
pub const SHRINK: u32 = 0x02;
/// `F_SEAL_GROW`: the file does not grow.
pub const GROW: u32 = 0x04;
/// `F_SEAL_WRITE`: the contents do not change.
pub const WRITE: u32 = 0x08;
/// `F_SEAL_FUTURE_WRITE`: only mappings that exist change the contents.
pub const FUTURE_WRITE: u32 = 0x10;
/// `F_SEAL_EXEC`: the execute bits of the mode do not change.
pub const EXEC: u32 = 0x20;
/// All seals.
pub const ALL: u32 = SEAL | SHRINK | GROW | WRITE | FUTURE_WRITE | EXEC;

/// The seals of a file. They change with its inode locked.
///
/// # Examples
///
/// ```
/// use kernel::mm::cache::seals::{
///     self,
///     Seals, //
/// };
///
/// assert!(!Seals::new(seals::SHRINK).denies_store());
/// assert!(Seals::new(seals::SHRINK | seals::FUTURE_WRITE).denies_store());
/// ```
pub struct Seals(Atomic<u32>);

impl Seals {
    /// Returns the seals of a new file: [`SEAL`] for one that cannot be sealed.
    #[inline]
    pub fn new(seals: u32) -> Self {
        Self(Atomic::new(seals & ALL))
    }

    /// Returns the seals.
    #[inline]
    pub fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// Returns whether a new shared mapping must never become writable. The mmap(2) hook then
    /// denies that ([`NewVma::deny_write`], [`VmAreaDesc::deny_write`]).
    ///
    /// With [`Hook::Mmap`] the core does not call the hook for a mapping that merges with an
    /// existing writable one. mremap(2) can expand an existing writable mapping, also of a memfd.
    ///
    /// [`NewVma::deny_write`]: crate::mm::vm::new_vma::NewVma::deny_write
    /// [`VmAreaDesc::deny_write`]: crate::mm::vm::vm_area_desc::VmAreaDesc::deny_write
    /// [`Hook::Mmap`]: crate::mm::file::ops::Hook::Mmap
    #[inline]
    pub fn denies_store(&self) -> bool {
        self.get() & (WRITE | FUTURE_WRITE) != 0
    }
}

impl<D: InodeData> InodeGuard<'_, D> {
    /// Adds `seals` to those of the file. May sleep, for about 150 ms when its pages are in use.
    ///
    /// Adding [`EXEC`] to an executable file also adds the seals that keep its size and contents.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an unknown seal, or a file that does not support sealing; `EPERM` when it has
    /// [`SEAL`]; `EBUSY` for [`WRITE`] when there are shared mappings that are writable or may
    /// become so, or when its pages have other references, such as those of direct I/O.
    pub fn add_seals(&self, seals: u32) -> Result {
        if seals & !ALL != 0 {
            return Err(EINVAL);
        }
        let cell = self.inode.seals().ok_or(EINVAL)?;
        let old = cell.get();
        if old & SEAL != 0 {
            return Err(EPERM);
        }
        let mut seals = seals;
        // SAFETY: The inode is valid, and locked.
        let mode = unsafe { (*self.inode.as_raw()).i_mode };
        if seals & EXEC != 0 && mode & 0o111 != 0 {
            seals |= SHRINK | GROW | WRITE | FUTURE_WRITE;
        }
        if seals & WRITE != 0 && old & WRITE == 0 {
            // The full barrier orders the store of the seal before the load of the number of
            // mappings. mmap(2) counts its mapping (`mapping_map_writable()`, an atomic operation
            // that returns a value) before it calls the hook, which loads the seals.
            cell.0.xchg(old | WRITE, Full);
            if let Err(error) = self.wait_for_writers() {
                cell.0.store(old, Relaxed);
                return Err(error);
            }
        }
        cell.0.store(old | seals, Relaxed);
        Ok(())
    }

    /// Waits until only the page cache and page tables hold references to the file's pages.
    ///
    /// # Errors
    ///
    /// `EBUSY` when that takes too long, when the process is being killed, and when there are
    /// shared mappings that are writable or may become so.
    fn wait_for_writers(&self) -> Result {
        let mapping = self.inode.mapping();
        // SAFETY: The page cache is valid.
        if unsafe { bindings::mapping_writably_mapped(mapping.as_raw()) } {
            return Err(EBUSY);
        }
        wait_for_pins(mapping)
    }

    /// Fails with `EPERM` when the file has one of `seals`.
    pub(crate) fn check_seals(&self, seals: u32) -> Result {
        match self.inode.seals() {
            Some(cell) if cell.get() & seals != 0 => Err(EPERM),
            _ => Ok(()),
        }
    }

    /// Fails with `EPERM` when seals forbid changing the size from `from` to `to` bytes.
    pub(crate) fn check_resize(&self, from: u64, to: u64) -> Result {
        if to < from {
            self.check_seals(SHRINK)?;
        }
        if to > from {
            self.check_seals(GROW)?;
        }
        Ok(())
    }
}
