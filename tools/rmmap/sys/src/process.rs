// SPDX-License-Identifier: GPL-2.0

//! What the kernel knows about this process.

use crate::Result;
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::mem::MaybeUninit;

/// Page faults that a process took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Those that needed no input or output, `ru_minflt`.
    pub minor: u64,
    /// Those that did, `ru_majflt`.
    pub major: u64,
}

/// `getrusage(2)` of the calling thread.
pub fn faults() -> Faults {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: The pointer is to a `rusage`, which the kernel fills.
    let ret = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    assert_eq!(ret, 0, "getrusage of the calling thread cannot fail");
    // SAFETY: A `rusage` is integers only; the call filled it.
    let usage = unsafe { usage.assume_init() };
    Faults {
        minor: usage.ru_minflt as u64,
        major: usage.ru_majflt as u64,
    }
}

/// Takes capabilities away from the calling thread, for good (`CAP_IPC_LOCK` to test limits).
pub fn drop_capabilities(gone: CapabilitySet) -> Result<()> {
    let have = rustix::thread::capabilities(None)?;
    let less = CapabilitySets {
        effective: have.effective.difference(gone),
        permitted: have.permitted.difference(gone),
        inheritable: have.inheritable.difference(gone),
    };
    rustix::thread::set_capabilities(None, less)
}

/// Returns whether the calling thread may use a capability.
pub fn has_capability(capability: CapabilitySet) -> bool {
    rustix::thread::capabilities(None).is_ok_and(|have| have.effective.contains(capability))
}
