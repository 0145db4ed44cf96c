// SPDX-License-Identifier: GPL-2.0

//! Accesses to the memory of other processes: `process_vm_readv(2)`, `process_vm_writev(2)`.

use crate::mapping::last_error;
use crate::{Errno, Mapping, Result, PAGE_SIZE};

/// Reads a string of another process, of at most `max` bytes before its zero. `thread` is one of its
/// threads. Returns `None` for a longer one.
///
/// # Errors
///
/// Those of the call: `EFAULT` if the process has no memory there, `EPERM` if the caller may not look
/// into it.
pub fn read_string(thread: i32, address: u64, max: usize) -> Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; max + 1];
    let mut read = 0;
    while read < bytes.len() {
        let at = (address as usize).checked_add(read).ok_or(Errno::FAULT)?;
        // A string may end where memory does, so no more than a page at a time.
        let len = (PAGE_SIZE - at % PAGE_SIZE).min(bytes.len() - read);
        let part = &mut bytes[read..read + len];
        let got = read_memory(thread, at, part)?;
        if let Some(end) = part[..got].iter().position(|byte| *byte == 0) {
            bytes.truncate(read + end);
            return Ok(Some(bytes));
        }
        if got == 0 {
            return Err(Errno::FAULT);
        }
        read += got;
    }
    Ok(None)
}

/// `process_vm_readv(2)`.
fn read_memory(thread: i32, address: usize, into: &mut [u8]) -> Result<usize> {
    let local = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address),
        iov_len: into.len(),
    };
    // SAFETY: The kernel writes to `into` alone; of the other process it only reads.
    let n = unsafe { libc::process_vm_readv(thread, &local, 1, &remote, 1, 0) };
    usize::try_from(n).map_err(|_| last_error())
}

impl Mapping {
    /// Writes `data` to this mapping by `process_vm_writev(2)`: the kernel gets the pages as for a
    /// debugger (`FOLL_REMOTE`). Returns the number of bytes written.
    pub fn write_remotely(&self, offset: usize, data: &[u8]) -> Result<usize> {
        let (start, len) = self.pointer(offset, data.len());
        let local = libc::iovec {
            iov_base: data.as_ptr().cast_mut().cast(),
            iov_len: len,
        };
        let remote = libc::iovec {
            iov_base: start,
            iov_len: len,
        };
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        // SAFETY: The source is only read. The kernel writes to this mapping, which no references
        // point into, or fails.
        let n = unsafe { libc::process_vm_writev(pid, &local, 1, &remote, 1, 0) };
        usize::try_from(n).map_err(|_| last_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MapOptions;

    #[test]
    fn a_string_ends_at_its_zero_or_at_the_limit_or_with_the_memory() {
        let me = rustix::process::getpid().as_raw_nonzero().get();
        let mut m = MapOptions::new(3 * PAGE_SIZE)
            .private()
            .map_anonymous()
            .unwrap();
        m.unmap(2 * PAGE_SIZE, PAGE_SIZE).unwrap();
        let read = |at: usize, max| read_string(me, (m.address() + at) as u64, max);
        // Across a page, up to the last byte of memory, empty.
        let across = PAGE_SIZE - 2;
        m.write(across, b"name").unwrap();
        assert_eq!(read(across, 4), Ok(Some(b"name".to_vec())));
        assert_eq!(read(across, 249), Ok(Some(b"name".to_vec())));
        assert_eq!(read(across, 3), Ok(None));
        assert_eq!(read(0, 249), Ok(Some(Vec::new())));
        let end = 2 * PAGE_SIZE;
        m.write(end - 3, b"ab").unwrap();
        assert_eq!(read(end - 3, 249), Ok(Some(b"ab".to_vec())));
        m.write(end - 3, b"abc").unwrap();
        assert_eq!(read(end - 3, 249), Err(Errno::FAULT));
        assert_eq!(read(end - 3, 2), Ok(None));
        assert_eq!(read(end, 1), Err(Errno::FAULT));
        assert_eq!(read_string(me, u64::MAX, 249), Err(Errno::FAULT));
    }
}
