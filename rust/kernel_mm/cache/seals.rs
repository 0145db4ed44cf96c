// SPDX-License-Identifier: GPL-2.0

//! Seals: promises about a file of memory that nobody can take back.
//!
//! They are those of memfd, which fcntl(2) reaches for shmem and hugetlb alone
//! (`memfd_file_seals_ptr()` in mm/memfd.c): a driver offers them by an ioctl of its own. The
//! library keeps those that concern the size, the contents and the mode. What a seal says of new
//! mappings, the hook of mmap(2) keeps ([`Seals::denies_store`]).
//!
//! memfd makes `i_mmap_writable` negative to deny writable mappings, after it has asked for its
//! seals (`memfd_check_seals_mmap()`), before the core looks at that (`mmap_region()`). A driver's
//! hook is called after the core has looked, so that a negative number would deny shared mappings
//! for reading as well. Here a seal is set first, and the writable mappings are counted then: who
//! is being mapped is either counted, or its hook sees the seal.
//!
//! C source: [`mm/memfd.c`](srctree/mm/memfd.c)

use crate::{
    bindings,
    mm::{
        cache::{
            address_space::AddressSpace,
            inode::{
                InodeData,
                InodeGuard, //
            }, //
        },
        sched::fatal_signal_pending, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    },
    time::msecs_to_jiffies, //
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
/// All of them.
pub const ALL: u32 = SEAL | SHRINK | GROW | WRITE | FUTURE_WRITE | EXEC;

/// The seals of a file. They are changed with its inode locked.
pub struct Seals(Atomic<u32>);

impl Seals {
    /// Makes the seals that a new file has: [`SEAL`] for one that cannot be sealed.
    pub fn new(seals: u32) -> Self {
        Self(Atomic::new(seals & ALL))
    }

    /// Returns the seals.
    pub fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// Returns whether a shared mapping that begins now must not be written through, ever: the hook
    /// of mmap(2) then denies that ([`NewVma::deny_write`], [`VmAreaDesc::deny_write`]).
    ///
    /// With [`Hook::Mmap`] the hook is not called for a mapping that extends one which is there and
    /// writable. mremap(2) extends that just so, for a memfd as well.
    ///
    /// [`NewVma::deny_write`]: crate::mm::vm::new_vma::NewVma::deny_write
    /// [`VmAreaDesc::deny_write`]: crate::mm::vm::vm_area_desc::VmAreaDesc::deny_write
    /// [`Hook::Mmap`]: crate::mm::file::ops::Hook::Mmap
    pub fn denies_store(&self) -> bool {
        self.get() & (WRITE | FUTURE_WRITE) != 0
    }
}

impl<D: InodeData> InodeGuard<'_, D> {
    /// Adds `seals` to those of the file. May sleep, some 150 ms where somebody uses its pages.
    ///
    /// An executable file that gets [`EXEC`] gets all that make its contents stay, too.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an unknown seal, or a file without seals; `EPERM` when it has [`SEAL`]; `EBUSY`
    /// for [`WRITE`] when there are shared mappings that are writable or may become so, or when
    /// somebody holds the pages, such as direct I/O.
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
            // The full barrier is between the store of the seal and the load of the number of
            // mappings. mmap(2) counts its mapping before it calls the hook, which loads the seals
            // (`mapping_map_writable()`, an atomic operation that returns a value).
            cell.0.xchg(old | WRITE, Full);
            if let Err(error) = self.wait_for_writers() {
                cell.0.store(old, Relaxed);
                return Err(error);
            }
        }
        cell.0.store(old | seals, Relaxed);
        Ok(())
    }

    /// Waits until nobody but page tables and the page cache holds a page of the file.
    ///
    /// # Errors
    ///
    /// `EBUSY` when that takes too long, when the process is being killed, and when there are
    /// shared mappings that may be written through.
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

    /// Fails with `EPERM` when seals deny a file of `from` bytes the size `to`.
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

/// How often a page that somebody holds is looked at again (`LAST_SCAN` in mm/memfd.c).
const LAST_TRY: u32 = 4;

/// As `memfd_wait_for_pins()`: waits until each page was seen once without references but those of
/// the page cache and of page tables. New ones that may write cannot come, or the caller would not
/// wait.
///
/// # Errors
///
/// `EBUSY` after some 150 ms, or when the process is being killed.
fn wait_for_pins(mapping: &AddressSpace) -> Result {
    let mut tries = 0;
    let mut index = 0;
    loop {
        index = mapping.first_page(index, usize::MAX);
        let Some(folio) = mapping.get_folio(index) else {
            if index == usize::MAX {
                return Ok(());
            }
            // It is gone again.
            continue;
        };
        while folio.is_in_use() {
            if tries > LAST_TRY || fatal_signal_pending() {
                return Err(EBUSY);
            }
            if tries == 0 {
                // Pages wait there, with a reference, for the lists that they belong on.
                AddressSpace::drain_lru();
            } else {
                let time = msecs_to_jiffies(5 << tries);
                // SAFETY: No lock is held that must not be held while sleeping.
                unsafe { bindings::schedule_timeout_killable(time as c_long) };
            }
            tries += 1;
        }
        // Folios lie at multiples of their size, and a reference keeps this one in one piece.
        index = (index | (folio.nr_pages() - 1)) + 1;
    }
}
