// SPDX-License-Identifier: GPL-2.0

//! `fanotify(7)` as a storage manager uses it: permission events before accesses to a file's
//! contents.

use crate::mapping::last_error;
use crate::{Errno, Result};
use std::ffi::CString;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A listener that the kernel asks before accesses to contents of files (`FAN_CLASS_PRE_CONTENT`).
#[derive(Debug)]
pub struct PreContent(OwnedFd);

/// A request of a process to access bytes of a file. The process waits for the answer.
#[derive(Debug)]
pub struct Question {
    /// The file, opened for the listener.
    file: OwnedFd,
    /// The requesting process.
    pub pid: i32,
    /// The requested bytes; `None` if the kernel does not say.
    pub range: Option<Range<u64>>,
}

/// `FAN_PRE_ACCESS` of `linux/fanotify.h`.
const FAN_PRE_ACCESS: u64 = 0x0010_0000;
/// `FAN_EVENT_INFO_TYPE_RANGE`.
const INFO_RANGE: u8 = 6;
/// Size of `struct fanotify_event_metadata`.
const METADATA: usize = 24;

impl PreContent {
    /// Begins to listen; nothing is watched yet.
    ///
    /// # Errors
    ///
    /// Those of `fanotify_init(2)`: `ENOSYS` or `EINVAL` from a kernel without permission events,
    /// `EPERM` without `CAP_SYS_ADMIN`.
    pub fn new() -> Result<Self> {
        let flags = libc::FAN_CLASS_PRE_CONTENT | libc::FAN_CLOEXEC;
        let file_flags = (libc::O_RDONLY | libc::O_CLOEXEC) as libc::c_uint;
        // SAFETY: The call takes numbers only.
        match unsafe { libc::fanotify_init(flags, file_flags) } {
            -1 => Err(last_error()),
            // SAFETY: The call returned a new descriptor that nobody else knows.
            fd => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
        }
    }

    /// Watches a file.
    ///
    /// # Errors
    ///
    /// Those of `fanotify_mark(2)`: `EOPNOTSUPP` on a file system without such events.
    pub fn watch(&self, path: &Path) -> Result<()> {
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
        let fd = self.0.as_raw_fd();
        // SAFETY: The string ends with 0.
        let ret = unsafe {
            let (add, at) = (libc::FAN_MARK_ADD, libc::AT_FDCWD);
            libc::fanotify_mark(fd, add, FAN_PRE_ACCESS, at, path.as_ptr())
        };
        match ret {
            0 => Ok(()),
            _ => Err(last_error()),
        }
    }

    /// Waits for the next request.
    pub fn next_question(&self) -> Result<Question> {
        let mut buffer = [0; 512];
        let len = rustix::io::read(&self.0, &mut buffer)?;
        // One event, since its process waits: its length, and the offset of its further records.
        let event_len = u32::from_ne_bytes(field(&buffer, 0)) as usize;
        let records = usize::from(u16::from_ne_bytes(field(&buffer, 6)));
        let fd = i32::from_ne_bytes(field(&buffer, 16));
        if len < METADATA || event_len > len || fd < 0 {
            return Err(Errno::PROTO);
        }
        Ok(Question {
            // SAFETY: The kernel opened it for this event, and nobody else knows it.
            file: unsafe { OwnedFd::from_raw_fd(fd) },
            pid: i32::from_ne_bytes(field(&buffer, 20)),
            range: range(&buffer[records.min(event_len)..event_len]),
        })
    }

    /// Allows the access, or forbids it: then the process gets `EPERM`.
    pub fn answer(&self, question: Question, allow: bool) -> Result<()> {
        let response = if allow {
            libc::FAN_ALLOW
        } else {
            libc::FAN_DENY
        };
        let mut message = [0; 8];
        message[..4].copy_from_slice(&question.file.as_raw_fd().to_ne_bytes());
        message[4..].copy_from_slice(&response.to_ne_bytes());
        rustix::io::write(&self.0, &message).map(drop)
    }
}

impl AsFd for PreContent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Returns `N` bytes of a message, zeroes past its end.
fn field<const N: usize>(message: &[u8], at: usize) -> [u8; N] {
    let bytes = message.get(at..at + N);
    bytes.and_then(|b| b.try_into().ok()).unwrap_or([0; N])
}

/// Returns the range among the records after an event.
fn range(mut records: &[u8]) -> Option<Range<u64>> {
    while let [kind, _, ..] = records {
        let len = usize::from(u16::from_ne_bytes(field(records, 2)));
        if *kind == INFO_RANGE {
            let (start, count) = (
                u64::from_ne_bytes(field(records, 8)),
                u64::from_ne_bytes(field(records, 16)),
            );
            return Some(start..start.checked_add(count)?);
        }
        records = records.get(len.max(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_found_among_other_records() {
        let mut records = vec![1, 0, 8, 0, 0, 0, 0, 0];
        records.extend([INFO_RANGE, 0, 24, 0, 0, 0, 0, 0]);
        records.extend(4096u64.to_ne_bytes());
        records.extend(8192u64.to_ne_bytes());
        assert_eq!(range(&records), Some(4096..12288));
        assert_eq!(range(&records[..8]), None);
        assert_eq!(range(&[]), None);
    }
}
