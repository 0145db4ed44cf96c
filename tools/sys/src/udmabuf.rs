// SPDX-License-Identifier: GPL-2.0

//! `/dev/udmabuf`: a memfd's pages as a dma-buf (include/uapi/linux/udmabuf.h).

use crate::mapping::last_error;
use crate::Result;
use rustix::fs::{Mode, OFlags};
use rustix::ioctl::opcode;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// `struct udmabuf_create`.
#[repr(C)]
struct Create {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

/// `UDMABUF_FLAGS_CLOEXEC`.
const CLOEXEC: u32 = 1;

/// Makes a dma-buf of the first `size` bytes of a memfd, which must be sealed against shrinking.
/// Allocates the missing pages of the memfd.
///
/// # Errors
///
/// `ENOENT` without the device; `EINVAL` also for a size above the module's parameter
/// `size_limit_mb`.
pub fn create(memfd: impl AsFd, size: u64) -> Result<OwnedFd> {
    const NUMBER: u32 = opcode::write::<Create>(b'u', 0x42);
    let device = rustix::fs::open(
        "/dev/udmabuf",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let argument = Create {
        memfd: memfd.as_fd().as_raw_fd() as u32,
        flags: CLOEXEC,
        offset: 0,
        size,
    };
    // SAFETY: The ioctl reads a `struct udmabuf_create` and nothing else.
    let fd = unsafe { libc::ioctl(device.as_raw_fd(), NUMBER.into(), &raw const argument) };
    match fd {
        -1 => Err(last_error()),
        // SAFETY: The ioctl succeeded, so it returned a new descriptor that nobody else knows.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}
