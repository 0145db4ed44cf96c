// SPDX-License-Identifier: GPL-2.0

//! Accesses to a mapping as another process makes them: `process_vm_writev(2)`.

use crate::mapping::last_error;
use crate::{Mapping, Result};

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
