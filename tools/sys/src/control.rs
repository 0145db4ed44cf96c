// SPDX-License-Identifier: GPL-2.0

//! Permanent settings of a process's memory.

use crate::mapping::last_error;
use crate::Result;

/// Calls `prctl(PR_SET_MDWE)`: from now on no mapping can be both writable and executable, and none
/// can become executable. Children inherit this.
pub fn deny_write_exec() -> Result<()> {
    prctl(libc::PR_SET_MDWE, libc::PR_MDWE_REFUSE_EXEC_GAIN.into())
}

/// Calls `prctl(PR_SET_MEMORY_MERGE)`: KSM may merge equal anonymous pages of all mappings, present
/// and future. Fails with `EINVAL` on a kernel without KSM.
pub fn merge_memory() -> Result<()> {
    prctl(libc::PR_SET_MEMORY_MERGE, 1)
}

fn prctl(option: i32, value: u64) -> Result<()> {
    // SAFETY: The options of this file take a number and change no memory.
    match unsafe { libc::prctl(option, value, 0u64, 0u64, 0u64) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Calls `pkey_alloc(2)`, which allocates a protection key for this process. The key forbids
/// nothing.
///
/// # Errors
///
/// `ENOSPC` when all keys are taken or the processor has none.
pub fn take_protection_key() -> Result<i32> {
    // SAFETY: A key that no page uses changes no access.
    match unsafe { libc::syscall(libc::SYS_pkey_alloc, 0, 0) } {
        -1 => Err(last_error()),
        key => Ok(key as i32),
    }
}
