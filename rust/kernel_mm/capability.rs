// SPDX-License-Identifier: GPL-2.0

//! Capabilities of the current task.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::bindings;

/// A capability, as in `include/uapi/linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_SYS_ADMIN`: actions that affect all users of the system.
    SysAdmin = bindings::CAP_SYS_ADMIN as isize,
}

/// Checks whether the current task has `capability` in the initial user namespace.
///
/// The check marks a task that has it as having used it (`PF_SUPERPRIV`), and an LSM may log the
/// check: call this only right before the action. May sleep.
#[inline]
pub fn capable(capability: Capability) -> bool {
    // SAFETY: The number is that of a capability, and the function checks the current task.
    unsafe { bindings::capable(capability as i32) }
}
