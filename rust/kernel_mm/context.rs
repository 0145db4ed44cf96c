// SPDX-License-Identifier: GPL-2.0

//! The locks that a thread may take, depending on its caller.
//!
//! The order is: inode lock, mmap lock (or a VMA's), invalidate lock, folio lock. write(2) follows
//! it: with the inode locked, it takes page faults on its caller's buffer. A page fault handler
//! runs with the mmap lock or the VMA's lock held, so it must not lock an inode; and code that runs
//! with an inode locked must not hold the invalidate lock, which truncation takes. Types enforce
//! both:
//!
//! - Locking an inode requires an [`Unlocked`]. Only file operations that the kernel calls without
//!   any of these locks get one, and an [`InodeGuard`](crate::mm::cache::inode::InodeGuard) borrows
//!   it, so that nobody locks a second inode, or the same one again.
//! - Of a driver's code, only a page fault handler takes the invalidate lock shared
//!   ([`VmFault::invalidate_lock_shared`](crate::mm::vm::fault::VmFault::invalidate_lock_shared)).
//!   The library's read(2) takes it with no other lock held.

use crate::types::NotThreadSafe;

/// Proof that this thread holds none of the locks that a mapping needs: no inode lock, no mmap lock
/// or VMA's lock, no invalidate lock, no folio lock.
///
/// Page fault handlers, other operations of a mapping and operations of an inode get none. A driver
/// can neither make, copy nor keep one, nor pass it to another thread, so the one that a file
/// operation got does not reach a page fault that the same operation takes.
pub struct Unlocked(NotThreadSafe);

impl Unlocked {
    /// Makes one for the library's own callbacks, which the kernel calls without any of these
    /// locks.
    #[inline]
    pub(crate) fn new() -> Self {
        Self(NotThreadSafe)
    }
}
