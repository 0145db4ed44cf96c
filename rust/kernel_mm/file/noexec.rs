// SPDX-License-Identifier: GPL-2.0

//! What `vm.memfd_noexec` wants of new files of memory.
//!
//! C source: `check_sysctl_memfd_noexec()` in [`mm/memfd.c`](srctree/mm/memfd.c)

use crate::{
    bindings,
    prelude::*, //
};

/// What a program says of execution when it creates a file of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    None,
    /// The file may be executed (`MFD_EXEC`).
    Exec,
    /// The file may not be executed, and never made executable (`MFD_NOEXEC_SEAL`).
    NoExecSeal,
}

/// Returns whether a file of memory that the current task creates may be executed.
///
/// # Errors
///
/// `EACCES` when the administrator forbids that, and `wish` is not [`Wish::NoExecSeal`].
pub fn may_exec(wish: Wish) -> Result<bool> {
    // SAFETY: Asks about the PID namespace of the current task.
    let scope = unsafe { bindings::memfd_noexec_scope() };
    let exec = match wish {
        // `MEMFD_NOEXEC_SCOPE_NOEXEC_SEAL` and above choose for those who do not.
        Wish::None => scope < bindings::MEMFD_NOEXEC_SCOPE_NOEXEC_SEAL,
        Wish::Exec => true,
        Wish::NoExecSeal => false,
    };
    if exec && scope >= bindings::MEMFD_NOEXEC_SCOPE_NOEXEC_ENFORCED {
        return Err(EACCES);
    }
    Ok(exec)
}
