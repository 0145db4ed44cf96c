// SPDX-License-Identifier: GPL-2.0

//! Tells a populate from the other faults that no access of userspace caused.
//!
//! A populate and `get_user_pages()` for direct I/O come with the same flags: `faultin_page()` in
//! [`mm/gup.c`](srctree/mm/gup.c) makes `FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE` of
//! `FOLL_UNLOCKABLE`, which both have, and `FOLL_MADV_POPULATE` is not passed on. One wants all of
//! a range, the other maybe a single page. What tells them apart is the system call that is going
//! on.

use crate::{
    bindings,
    mm::vm::{
        fault::VmFault,
        ops::VmOperations, //
    }, //
};

impl<V: VmOperations> VmFault<'_, V> {
    /// Checks whether all of a range is populated, so that the pages after this one are wanted,
    /// too: by mmap(2) with `MAP_POPULATE`, or madvise(2) with `MADV_POPULATE_READ` or `_WRITE`.
    ///
    /// It is a hint for how much to allocate, and errs on the side of less: system calls of 32-bit
    /// programs and those that io_uring carries out are not recognised. For mlock(2) and
    /// `MAP_LOCKED` see [`Vma::is_locked`](crate::mm::vm::vma::Vma::is_locked).
    pub fn is_populate(&self) -> bool {
        if self.is_access() || self.is_remote() {
            return false;
        }
        // SAFETY: Asks about the current task.
        if unsafe { bindings::in_compat_syscall() } {
            return false;
        }
        let mut args = [0; 6];
        // SAFETY: Reads the registers that the current task entered the kernel with; there is room
        // for six arguments. Tasks that never were in userspace have zeroes there, or their
        // maker's.
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

    /// Checks whether a page is got for another process, or as if for one: ptrace(2),
    /// `/proc/PID/mem`, `process_vm_writev(2)` (`FAULT_FLAG_REMOTE`).
    pub fn is_remote(&self) -> bool {
        self.flags() & bindings::fault_flag_FAULT_FLAG_REMOTE != 0
    }
}
