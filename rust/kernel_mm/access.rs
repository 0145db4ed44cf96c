// SPDX-License-Identifier: GPL-2.0

//! Accesses of debuggers: `vm_operations_struct.access`.
//!
//! C source: `__access_remote_vm()` in [`mm/memory.c`](srctree/mm/memory.c)

/// What a debugger wants of a range of bytes.
pub enum Access<'a> {
    /// To read them: fill the buffer, which holds zeroes.
    Read(&'a mut [u8]),
    /// To write these.
    Write(&'a [u8]),
}

impl Access<'_> {
    /// Returns the number of bytes that are wanted.
    pub fn len(&self) -> usize {
        match self {
            Access::Read(buffer) => buffer.len(),
            Access::Write(bytes) => bytes.len(),
        }
    }

    /// Returns whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Wraps the buffer of the core.
    ///
    /// # Safety
    ///
    /// `buf` is valid for reads and writes of `len` bytes for `'a`, and nobody else uses it; when
    /// `write` is set, the bytes are initialised.
    pub(crate) unsafe fn from_raw(buf: *mut u8, len: usize, write: bool) -> Self {
        if write {
            // SAFETY: By the contract of this function.
            Access::Write(unsafe { core::slice::from_raw_parts(buf, len) })
        } else {
            // A driver that fills less than it says must not reveal what was there before.
            // SAFETY: By the contract of this function.
            unsafe { buf.write_bytes(0, len) };
            // SAFETY: By the contract of this function; the bytes were just initialised.
            Access::Read(unsafe { core::slice::from_raw_parts_mut(buf, len) })
        }
    }
}
