// SPDX-License-Identifier: GPL-2.0

//! Inodes whose pages exist in memory only: a region of memory with a size, a page cache and the
//! driver's own data.
//!
//! Such an inode belongs to a [`PseudoFs`]. Files opened on it, and mappings of those files, keep
//! it alive; a driver keeps it alive with an [`ARef<Inode<D>>`]. When the last reference is
//! dropped, its pages are freed and the data is dropped.
//!
//! Lock order: the inode's lock ([`InodeGuard`]), then the invalidate lock, then a folio lock.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h); the model is
//! [`mm/secretmem.c`](srctree/mm/secretmem.c)
//!
//! [`ARef<Inode<D>>`]: crate::sync::aref::ARef
//! [`PseudoFs`]: crate::mm::file::pseudo_fs::PseudoFs

use crate::{
    bindings,
    error::{
        from_result,
        to_result, //
    },
    fs::File,
    mm::{
        cache::{
            address_space::{
                AddressSpace,
                TruncateGuard, //
            },
            pins::Retries,
            poison,
            seals::{
                self,
                Seals, //
            }, //
        },
        context::Unlocked, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::AlwaysRefCounted,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};

/// The data that a driver keeps with each of its inodes, and the callbacks for its changes.
pub trait InodeData: Sized + Send + Sync + 'static {
    /// Checks whether the file may get `size` bytes. ftruncate(2), write(2) and fallocate(2) ask
    /// with the inode locked.
    ///
    /// # Errors
    ///
    /// The system call fails with the error.
    fn may_resize(&self, size: u64) -> Result;

    /// Accounts for `pages` pages that left the page cache: truncated, punched, or freed with the
    /// inode.
    ///
    /// May sleep; must not access the page cache.
    fn pages_removed(&self, pages: usize);

    /// Returns the permission bits of a new file.
    fn mode(&self) -> u16 {
        0o600
    }

    /// Returns the seals of the file, if it supports sealing.
    fn seals(&self) -> Option<&Seals> {
        None
    }

    /// Handles a change of the size from `from` to `to` bytes, which freed `removed` pages. The
    /// inode is locked.
    fn resized(inode: &Inode<Self>, from: u64, to: u64, removed: usize) {
        let _ = (inode, from, to, removed);
    }

    /// Handles the freeing of `len` bytes at `offset`, which removed `removed` pages. The inode is
    /// locked.
    fn punched(inode: &Inode<Self>, offset: u64, len: u64, removed: usize) {
        let _ = (inode, offset, len, removed);
    }
}

/// An inode of a [`PseudoFs`](crate::mm::file::pseudo_fs::PseudoFs) with data of type `D`.
///
/// It derefs to its data.
///
/// # Invariants
///
/// A `&Inode<D>` points to a `struct inode` with a reference count that is not zero, made by
/// [`PseudoFs`](crate::mm::file::pseudo_fs::PseudoFs), whose `i_private` is a `KBox<D>` until it is
/// evicted.
#[repr(transparent)]
pub struct Inode<D>(Opaque<bindings::inode>, PhantomData<D>);

// SAFETY: An inode may be used and released on any thread, `D` is `Send` and `Sync`.
unsafe impl<D: InodeData> Send for Inode<D> {}
// SAFETY: The methods take the locks they need; shared access to `D` is fine since it is `Sync`.
unsafe impl<D: InodeData> Sync for Inode<D> {}

// SAFETY: `hold()` keeps an inode alive until the matching `release()`.
unsafe impl<D: InodeData> AlwaysRefCounted for Inode<D> {
    fn inc_ref(&self) {
        // SAFETY: By the type invariants the reference count is not zero.
        unsafe { hold(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference that it owns.
        unsafe { release(obj.cast().as_ptr()) };
    }
}

/// Takes a reference to an inode, and one to its superblock: a file system must not be shut down
/// while one of its inodes is referenced, and the superblock keeps the module loaded.
///
/// # Safety
///
/// `inode` is an inode with a reference count that is not zero, on a live superblock.
#[inline]
pub(crate) unsafe fn hold(inode: *mut bindings::inode) {
    // SAFETY: By the contract of this function.
    unsafe { bindings::ihold(inode) };
    // SAFETY: As above; the count of a live superblock is not zero.
    unsafe { bindings::sb_hold_active((*inode).i_sb) };
}

/// Drops the references that [`hold`] took. May sleep.
///
/// # Safety
///
/// The caller owns the references of one call of [`hold`].
pub(crate) unsafe fn release(inode: *mut bindings::inode) {
    // SAFETY: The inode is valid until the next call.
    let sb = unsafe { (*inode).i_sb };
    // SAFETY: By the contract of this function.
    unsafe { bindings::iput(inode) };
    // SAFETY: As above.
    unsafe { bindings::deactivate_super(sb) };
}

impl<D: InodeData> Deref for Inode<D> {
    type Target = D;

    fn deref(&self) -> &D {
        // SAFETY: By the type invariants `i_private` is a live `KBox<D>`.
        unsafe { &*(*self.as_raw()).i_private.cast::<D>() }
    }
}

impl<D: InodeData> Inode<D> {
    /// The inode operations, which `alloc_anon_inode()` does not set.
    pub(crate) const INODE_OPS: bindings::inode_operations = bindings::inode_operations {
        setattr: Some(Self::setattr),
        getattr: Some(bindings::simple_getattr),
        ..pin_init::zeroed()
    };

    /// The page cache operations: pages are never written back, and migration (compaction) copies
    /// their contents.
    pub(crate) const ADDRESS_SPACE_OPS: bindings::address_space_operations =
        bindings::address_space_operations {
            dirty_folio: Some(bindings::noop_dirty_folio),
            #[cfg(CONFIG_MIGRATION)]
            migrate_folio: Some(bindings::filemap_migrate_folio),
            error_remove_folio: Some(poison::error_remove_folio),
            ..pin_init::zeroed()
        };

    /// The superblock operations: evicting an inode frees its pages and its data.
    pub(crate) const SUPER_OPS: bindings::super_operations = bindings::super_operations {
        statfs: Some(bindings::simple_statfs),
        evict_inode: Some(Self::evict),
        ..pin_init::zeroed()
    };

    /// Returns a reference to an inode.
    ///
    /// # Safety
    ///
    /// For all of `'a`, `ptr` is an inode that satisfies the type invariants.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::inode) -> &'a Self {
        // SAFETY: By the contract of this function; the layout is the same.
        unsafe { &*ptr.cast() }
    }

    /// Returns a raw pointer to the inode.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::inode {
        self.0.get()
    }

    /// Returns the driver's data, to which the inode dereferences, for generic arguments such as
    /// [`Quota`](crate::mm::cache::insert::Quota).
    #[inline]
    pub fn inode_data(&self) -> &D {
        self
    }

    /// Returns the inode's number, as fstat(2) reports it.
    #[inline]
    pub fn ino(&self) -> u64 {
        // SAFETY: The inode is valid, and its number does not change.
        unsafe { (*self.as_raw()).i_ino }
    }

    /// Returns the page cache of the file.
    #[inline]
    pub fn mapping(&self) -> &AddressSpace {
        // SAFETY: An inode's page cache lives as long as the inode.
        unsafe { AddressSpace::from_raw((*self.as_raw()).i_mapping) }
    }

    /// Takes the inode's lock (`i_rwsem`), as writers and truncation do. May sleep.
    ///
    /// File operations call it. `unlocked` proves that they hold no lock that must be taken after
    /// this one. See [`context`](crate::mm::context).
    pub fn lock<'a>(&'a self, unlocked: &'a mut Unlocked) -> InodeGuard<'a, D> {
        // Its existence is the proof.
        let _ = unlocked;
        self.lock_now()
    }

    /// Takes the lock as [`Inode::lock`] does, where the library knows that no such lock is held.
    pub(crate) fn lock_now(&self) -> InodeGuard<'_, D> {
        // SAFETY: The inode is valid.
        unsafe { bindings::inode_lock(self.as_raw()) };
        // INVARIANT: Just locked.
        InodeGuard {
            inode: self,
            _nts: NotThreadSafe,
        }
    }

    /// Changes attributes: the VFS calls it for ftruncate(2), fchmod(2), futimens(2), ...
    ///
    /// # Safety
    ///
    /// `dentry` is of an inode of this type, which the caller has locked.
    unsafe extern "C" fn setattr(
        idmap: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        attr: *mut bindings::iattr,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The caller passes valid arguments; a dentry that gets here has an inode.
            let raw = unsafe { (*dentry).d_inode };
            // SAFETY: All three are what the VFS passed.
            to_result(unsafe { bindings::setattr_prepare(idmap, dentry, attr) })?;
            // SAFETY: This function is only in the table of inodes of this type.
            let inode = unsafe { Self::from_raw(raw) };
            // INVARIANT: `notify_change()` is called with the inode locked, and the guard is not
            // dropped: the VFS unlocks.
            let guard = core::mem::ManuallyDrop::new(InodeGuard {
                inode,
                _nts: NotThreadSafe,
            });
            // SAFETY: The VFS passes a valid `struct iattr`.
            let valid = unsafe { (*attr).ia_valid };
            if valid & bindings::ATTR_MODE != 0 {
                // SAFETY: As above, with a mode; the inode is locked.
                let changed = unsafe { (*raw).i_mode ^ (*attr).ia_mode };
                if changed & 0o111 != 0 {
                    guard.check_seals(seals::EXEC)?;
                }
            }
            if valid & bindings::ATTR_SIZE != 0 {
                // SAFETY: As above. The VFS has refused negative sizes.
                guard.resize(unsafe { (*attr).ia_size } as u64)?;
            }
            // SAFETY: All three are what the VFS passed, and the inode is locked.
            unsafe { bindings::setattr_copy(idmap, raw, attr) };
            Ok(0)
        })
    }

    /// Frees the pages and the data of an inode whose last reference was dropped.
    ///
    /// # Safety
    ///
    /// `inode` is an inode of this type that is no longer used.
    unsafe extern "C" fn evict(inode: *mut bindings::inode) {
        // SAFETY: The inode is valid until this function returns.
        let data = unsafe { (*inode).i_private }.cast::<D>();
        // SAFETY: The inode is valid, and its page cache with it.
        let mapping = unsafe { AddressSpace::from_raw(&raw mut (*inode).i_data) };
        let pages = mapping.nr_pages();
        // SAFETY: The page cache is no longer used.
        unsafe { bindings::truncate_inode_pages_final(mapping.as_raw()) };
        // SAFETY: The page cache is empty now.
        unsafe { bindings::clear_inode(inode) };
        // Null for the root of the file system, and for an inode that never got data
        // (`poison::charged()`).
        if !data.is_null() {
            // SAFETY: `i_private` was made by `KBox::into_raw()`, and the inode is not used again.
            let data = unsafe { KBox::from_raw(data) };
            if pages > 0 {
                data.pages_removed(pages);
            }
        }
    }
}

/// The lock of an inode, which writers and truncation hold.
///
/// # Invariants
///
/// The inode is locked by this thread.
#[must_use = "the inode is unlocked at once when the guard is unused"]
pub struct InodeGuard<'a, D: InodeData> {
    pub(crate) inode: &'a Inode<D>,
    _nts: NotThreadSafe,
}

impl<D: InodeData> InodeGuard<'_, D> {
    /// Sets the size of the file, in bytes, and frees the pages past it. May sleep.
    ///
    /// No folio above order 0 may reach past EOF. When the core splits such a folio it drops the
    /// pages past EOF and accounts them as written back, which the inode of a file without
    /// writeback does not support (`__folio_freeze_and_split_unmapped()` in mm/huge_memory.c:
    /// `inode_to_wb()` is null). So a folio across the new end is split first; then whole pages are
    /// freed, while the old size still covers them; then the size is set. Pages that
    /// [`allocate`](crate::mm::file::allocate) has added past EOF are freed unless the file grows.
    ///
    /// # Errors
    ///
    /// The error of [`InodeData::may_resize`]; `EPERM` when a seal forbids the change; `EBUSY` when
    /// a large folio across the new end cannot be split within about 150 ms, or before a signal
    /// kills the process, because others have references to it. The file is unchanged then.
    pub fn resize(&self, size: u64) -> Result {
        self.check_resize(self.inode.mapping().size(), size)?;
        self.inode.may_resize(size)?;
        let raw_size = bindings::loff_t::try_from(size).map_err(|_| EFBIG)?;
        let mapping = self.inode.mapping();
        let from = mapping.size();
        if size > from {
            self.zero_tail();
        }
        // A partial last page stays. There is no page past the largest offset.
        let first = bindings::loff_t::try_from(size.next_multiple_of(PAGE_SIZE as u64)).ok();
        let first = first.filter(|_| size <= from);
        let mut retries = Retries::default();
        let removed = loop {
            let exclusive = mapping.invalidate_lock();
            if first.is_none_or(|first| self.split_at(first)) {
                break exclusive.count_removed(|| {
                    if size > from {
                        // Pages past EOF become part of the file, or stay past it.
                        self.extend(size);
                    } else {
                        self.truncate(raw_size, first);
                    }
                });
            }
            // A page fault that has a reference to the folio may wait for the lock.
            drop(exclusive);
            if !retries.wait() {
                return Err(EBUSY);
            }
        };
        self.report(removed);
        D::resized(self.inode, from, size, removed);
        Ok(())
    }

    /// Splits a folio across byte `first`, which begins a page, with the invalidate lock held.
    /// Returns `false` when there still is one, because others have references to it or there is no
    /// memory.
    pub(super) fn split_at(&self, first: bindings::loff_t) -> bool {
        let mapping = self.inode.mapping();
        if !mapping.has_folio_across(first as u64) {
            return true;
        }
        // Truncating an empty range splits the folio at `first` and does nothing else. A range that
        // is not empty is zeroed before the split, which could not be undone
        // (`truncate_inode_partial_folio()` in mm/truncate.c).
        //
        // SAFETY: The page cache is valid, the inode is locked, and `first` is not 0, since a folio
        // has pages before it. All folios are dirty: one that cannot be split stays.
        unsafe { bindings::truncate_inode_pages_range(mapping.as_raw(), first, first as u64 - 1) };
        !mapping.has_folio_across(first as u64)
    }

    /// Frees all pages from byte `first` on, which no folio crosses, and sets a size that is not
    /// larger than the old one, with the invalidate lock held.
    fn truncate(&self, size: bindings::loff_t, first: Option<bindings::loff_t>) {
        if let Some(first) = first {
            // SAFETY: The inode is locked, and no page can be added while the invalidate lock is
            // held. A range that ends at -1 extends to the end of the file.
            unsafe { bindings::truncate_pagecache_range(self.inode.as_raw(), first, -1) };
        }
        // SAFETY: As above. This zeroes the rest of the last page, and unmaps pages that a fault on
        // a resident page mapped meanwhile.
        unsafe { bindings::truncate_setsize(self.inode.as_raw(), size) };
    }

    /// Grows the file to `size` bytes, all of which were written; a smaller size changes nothing.
    pub(crate) fn extend(&self, size: u64) {
        if size > self.inode.mapping().size() {
            // SAFETY: The inode is locked.
            unsafe { bindings::i_size_write(self.inode.as_raw(), size as bindings::loff_t) };
        }
    }

    /// Zeroes bytes that a mapping may have stored between EOF and the end of the last page, so
    /// that they do not become part of the file when it grows.
    pub(crate) fn zero_tail(&self) {
        let mapping = self.inode.mapping();
        let end = mapping.size();
        let partial = end % PAGE_SIZE as u64;
        if partial != 0 {
            let last = end - partial + PAGE_SIZE as u64 - 1;
            // SAFETY: The range lies within one page and does not cover it, so that it is zeroed
            // and not removed; the inode is locked.
            unsafe {
                bindings::truncate_inode_pages_range(
                    mapping.as_raw(),
                    end as bindings::loff_t,
                    last,
                )
            };
        }
    }

    /// Updates mtime and ctime, and removes set-user-ID bits that the caller's privileges do not
    /// cover, as every change of a file through a descriptor must. Does nothing for a `file` of
    /// another inode, such as a device node. May sleep.
    ///
    /// # Errors
    ///
    /// Those of the security modules.
    pub fn file_modified(&self, file: &File) -> Result {
        // SAFETY: An open file has an inode.
        if unsafe { (*file.as_ptr()).f_inode } != self.inode.as_raw() {
            return Ok(());
        }
        // SAFETY: The file is open, and its inode is locked.
        to_result(unsafe { bindings::file_modified(file.as_ptr()) })
    }

    /// Tells the driver that `removed` pages left the page cache.
    pub(crate) fn report(&self, removed: usize) {
        if removed > 0 {
            self.inode.pages_removed(removed);
        }
    }
}

// SAFETY: Truncation and hole punching need an `InodeGuard`, or the inode lock that the VFS holds.
unsafe impl<'m, D: InodeData> TruncateGuard<'m> for InodeGuard<'m, D> {
    fn mapping(&self) -> &'m AddressSpace {
        self.inode.mapping()
    }
}

impl<D: InodeData> Drop for InodeGuard<'_, D> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this thread holds the lock.
        unsafe { bindings::inode_unlock(self.inode.as_raw()) };
    }
}
