// SPDX-License-Identifier: GPL-2.0

//! `perf_event_open(2)`: records of the mappings that a process makes.

use crate::mapping::last_error;
use crate::Result;
use std::os::fd::{FromRawFd, OwnedFd};

/// `struct perf_event_attr` of `linux/perf_event.h` in its second version, `PERF_ATTR_SIZE_VER1`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    bp_type: u32,
    bp_addr: u64,
    bp_len: u64,
}

const _: () = assert!(size_of::<Attributes>() == 72);

/// Opens an event that records each mapping of the calling thread, data and code, as
/// `PERF_RECORD_MMAP2`. Its ring buffer, mapped from it, has a header page and 2^n data pages.
///
/// # Errors
///
/// Those of the call: `EACCES` without the permission to measure, `ENOSYS` from a kernel without
/// perf.
pub fn open_mmap_events() -> Result<OwnedFd> {
    const PERF_TYPE_SOFTWARE: u32 = 1;
    const PERF_COUNT_SW_DUMMY: u64 = 9;
    const PERF_FLAG_FD_CLOEXEC: u64 = 1 << 3;
    const MMAP: u64 = 1 << 8;
    const MMAP_DATA: u64 = 1 << 17;
    const MMAP2: u64 = 1 << 23;
    let attributes = Attributes {
        kind: PERF_TYPE_SOFTWARE,
        size: size_of::<Attributes>() as u32,
        config: PERF_COUNT_SW_DUMMY,
        flags: MMAP | MMAP_DATA | MMAP2,
        ..Attributes::default()
    };
    let (thread, any_cpu, no_group) = (0, -1, -1);
    // SAFETY: The kernel reads as many bytes as the structure's size field says, which is its size.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            thread,
            any_cpu,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    match fd {
        -1 => Err(last_error()),
        // SAFETY: It is a new descriptor that nobody else knows.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
    }
}
