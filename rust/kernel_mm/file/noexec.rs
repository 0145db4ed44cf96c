// SPDX-License-Identifier: GPL-2.0

//! The rules of `vm.memfd_noexec` for new files in memory.
//!
//! C source: `check_sysctl_memfd_noexec()` in [`mm/memfd.c`](srctree/mm/memfd.c)

use crate::{
    bindings,
    prelude::*, //
};

/// A program's choice about execution when it creates a file in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// No choice.
    None,
    /// The file may be executed (`MFD_EXEC`).
    Exec,
    /// The file may not be executed, and never becomes executable (`MFD_NOEXEC_SEAL`).
    NoExecSeal,
}

/// Returns whether a file in memory that the current task creates may be executed.
///
/// # Errors
///
/// `EACCES` when `vm.memfd_noexec` enforces that files are not executable, and `wish` is not
/// [`Wish::NoExecSeal`].
pub fn may_exec(wish: Wish) -> Result<bool> {
    // SAFETY: The function reads the setting of the current task's PID namespace.
    let scope = unsafe { bindings::memfd_noexec_scope() };
    let exec = match wish {
        // From `MEMFD_NOEXEC_SCOPE_NOEXEC_SEAL` on, files are not executable by default.
        Wish::None => scope < bindings::MEMFD_NOEXEC_SCOPE_NOEXEC_SEAL,
        Wish::Exec => true,
        Wish::NoExecSeal => false,
    };
    if exec && scope >= bindings::MEMFD_NOEXEC_SCOPE_NOEXEC_ENFORCED {
        return Err(EACCES);
    }
    Ok(exec)
}
