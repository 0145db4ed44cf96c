// SPDX-License-Identifier: GPL-2.0

//! Tells a populate from other faults without an access by userspace.
//!
//! A populate and `get_user_pages()` for direct I/O set the same flags: `faultin_page()` in
//! [`mm/gup.c`](srctree/mm/gup.c) sets `FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE` for
//! `FOLL_UNLOCKABLE`, which both have, and does not pass on `FOLL_MADV_POPULATE`. The first needs a
//! whole range, the second perhaps a single page. Only the current system call tells them apart.

use crate::{
    bindings,
    mm::vm::{
        fault::VmFault,
        ops::VmOperations, //
    }, //
};

impl<V: VmOperations> VmFault<'_, V> {
    /// Checks whether the fault is part of populating a range, so that the pages after this one are
    /// wanted, too: by mmap(2) with `MAP_POPULATE`, or madvise(2) with `MADV_POPULATE_READ` or
    /// `_WRITE`.
    ///
    /// The result is a hint for how much to allocate, and errs on the side of less: system calls of
    /// 32-bit programs and those that io_uring carries out are not recognised. For mlock(2) and
    /// `MAP_LOCKED` see [`Vma::is_locked`](crate::mm::vm::vma::Vma::is_locked).
    pub fn is_populate(&self) -> bool {
        if self.is_access() || self.is_remote() {
            return false;
        }
        // SAFETY: Reads state of the current task.
        if unsafe { bindings::in_compat_syscall() } {
            return false;
        }
        let mut args = [0; 6];
        // SAFETY: Reads the registers with which the current task entered the kernel; `args` has
        // room for six arguments. A task that never was in userspace has zeroes there, or its
        // creator's registers.
        unsafe { bindings::current_syscall_arguments(args.as_mut_ptr()) };
        // SAFETY: As above.
        match unsafe { bindings::current_syscall() } as u32 {
            bindings::__NR_mmap => args[3] & bindings::MAP_POPULATE as usize != 0,
            bindings::__NR_madvise => [bindings::MADV_POPULATE_READ, bindings::MADV_POPULATE_WRITE]
                .map(|advice| advice as usize)
                .contains(&args[2]),
            _ => false,
        }
    }

    /// Checks whether the page is for another process, or handled as if it were: ptrace(2),
    /// `/proc/PID/mem`, `process_vm_writev(2)` (`FAULT_FLAG_REMOTE`).
    #[inline]
    pub fn is_remote(&self) -> bool {
        self.flags() & bindings::fault_flag_FAULT_FLAG_REMOTE != 0
    }
}
