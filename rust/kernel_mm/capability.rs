// SPDX-License-Identifier: GPL-2.0

//! What the current task is allowed to do.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::bindings;

/// A capability, as in `include/uapi/linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_SYS_ADMIN`: what concerns all users of the system.
    SysAdmin = bindings::CAP_SYS_ADMIN as isize,
}

/// Checks whether the current task has `capability` in the initial user namespace.
///
/// A task that has it is marked as one that used it (`PF_SUPERPRIV`), and an LSM may log the
/// question: ask only for what is about to be done. May sleep.
pub fn capable(capability: Capability) -> bool {
    // SAFETY: The number is that of a capability, and the function asks about the current task.
    unsafe { bindings::capable(capability as i32) }
}
