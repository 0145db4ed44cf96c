// SPDX-License-Identifier: GPL-2.0

//! The kernel's information about this process.

use crate::mapping::last_error;
use crate::{Errno, Result};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::ffi::{c_char, CStr};
use std::mem::MaybeUninit;

/// What the kernel's audit calls this architecture: `AUDIT_ARCH_X86_64` or `AUDIT_ARCH_AARCH64`.
pub const AUDIT_ARCH: u32 = match cfg!(target_arch = "x86_64") {
    true => 0xc000_003e,
    false => 0xc000_00b7,
};

/// The number of mmap(2).
pub const SYS_MMAP: u32 = libc::SYS_mmap as u32;

/// Page faults that a process took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Those that needed no input or output, `ru_minflt`.
    pub minor: u64,
    /// Those that did, `ru_majflt`.
    pub major: u64,
}

/// Returns the page faults of the calling thread, by `getrusage(2)`.
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

/// Permanently drops capabilities of the calling thread (`CAP_IPC_LOCK` to test limits).
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

/// Calls `personality(2)`: from now on `PROT_READ` implies `PROT_EXEC`, as it does for programs
/// that do not say whether their stack is executable. Children inherit this.
pub fn read_implies_exec() -> Result<()> {
    const ASK: libc::c_ulong = 0xffff_ffff;
    // SAFETY: The flag affects only future mappings.
    let ret = unsafe {
        let now = libc::personality(ASK);
        libc::personality(now as libc::c_ulong | libc::READ_IMPLIES_EXEC as libc::c_ulong)
    };
    match ret {
        -1 => Err(last_error()),
        _ => Ok(()),
    }
}

/// Ignores a signal from now on, so that the call that causes it only fails with an error.
pub fn ignore(signal: rustix::process::Signal) -> Result<()> {
    // SAFETY: No handler is installed.
    match unsafe { libc::signal(signal.as_raw(), libc::SIG_IGN) } {
        libc::SIG_ERR => Err(last_error()),
        _ => Ok(()),
    }
}

/// Lets a signal have its default action from now on, whatever the caller of this program set.
pub fn reset(signal: rustix::process::Signal) -> Result<()> {
    // SAFETY: No handler is installed.
    match unsafe { libc::signal(signal.as_raw(), libc::SIG_DFL) } {
        libc::SIG_ERR => Err(last_error()),
        _ => Ok(()),
    }
}

extern "C" {
    /// Returns the name of an error number, or null; glibc has it since 2.32.
    fn strerrorname_np(number: i32) -> *const c_char;
}

/// Returns the name of an error number as the manual pages write it, `EINVAL`.
pub fn errno_name(errno: Errno) -> String {
    // SAFETY: The function takes any number, and returns a string that lives forever or null.
    let name = unsafe { strerrorname_np(errno.raw_os_error()) };
    if name.is_null() {
        return format!("errno {}", errno.raw_os_error());
    }
    // SAFETY: It is not null, so it is a string that lives forever.
    unsafe { CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_names() {
        assert_eq!(errno_name(Errno::NXIO), "ENXIO");
        assert_eq!(errno_name(Errno::from_raw_os_error(4000)), "errno 4000");
    }
}
