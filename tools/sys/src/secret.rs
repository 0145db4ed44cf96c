// SPDX-License-Identifier: GPL-2.0

//! `memfd_secret(2)`: memory that the kernel itself does not map.

use crate::mapping::last_error;
use crate::Result;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Creates an empty file of secret memory, which is closed on exec.
///
/// # Errors
///
/// `ENOSYS` where the kernel runs with `secretmem.enable=0`.
pub fn memfd_secret() -> Result<OwnedFd> {
    // SAFETY: The system call takes flags only.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    match fd {
        -1 => Err(last_error()),
        // SAFETY: The call succeeded, so it returned a new descriptor that nobody else knows.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
    }
}
