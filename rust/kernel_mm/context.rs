// SPDX-License-Identifier: GPL-2.0

//! Which locks a thread may take where it is called.
//!
//! The order is: inode lock, mmap lock (or a VMA's), invalidate lock, folio lock. write(2) keeps
//! it: it takes page faults on its caller's buffer with the inode locked. A page fault handler runs
//! with the mmap lock or the VMA's lock held, so that it must not lock an inode; and what runs with
//! an inode locked must not hold the invalidate lock, which truncation takes. Types say both:
//!
//! - An inode is locked with an [`Unlocked`], which the operations of files get that are called
//!   without any of these locks, and which an [`InodeGuard`](crate::mm::cache::inode::InodeGuard)
//!   borrows, so that nobody locks a second inode, or the same one again.
//! - The invalidate lock is taken shared by a page fault
//!   ([`VmFault::invalidate_lock_shared`](crate::mm::vm::fault::VmFault::invalidate_lock_shared)).

use crate::types::NotThreadSafe;

/// Shows that this thread holds none of the locks that a mapping needs: no inode's, no mmap lock or
/// VMA's lock, no invalidate lock, no folio's.
///
/// There is none for a page fault handler, nor for what else is done in a mapping or asked of an
/// inode. Since it can neither be made, nor copied, nor given to another thread, nor kept, one that
/// an operation of a file got does not reach a page fault that the same operation takes.
pub struct Unlocked(NotThreadSafe);

impl Unlocked {
    /// For the library's own callbacks, which the kernel calls without any of these locks.
    pub(crate) fn new() -> Self {
        Self(NotThreadSafe)
    }
}
