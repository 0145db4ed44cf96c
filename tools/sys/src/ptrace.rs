// SPDX-License-Identifier: GPL-2.0

//! `ptrace(2)`: a debugger's access to a child.

use crate::mapping::last_error;
use crate::{Child, Errno, Result};
use rustix::process::{Pid, WaitOptions};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;

/// A stopped child that this process may inspect. It continues when this is dropped.
#[derive(Debug)]
pub struct Tracee<'a> {
    pid: Pid,
    _child: PhantomData<&'a Child>,
}

impl<'a> Tracee<'a> {
    /// Stops a child.
    ///
    /// # Errors
    ///
    /// Those of the calls; `ESRCH` if the child ended meanwhile.
    pub fn attach(child: &'a Child) -> Result<Self> {
        let pid = child.pid();
        call(libc::PTRACE_SEIZE, pid, 0, 0)?;
        let tracee = Self {
            pid,
            _child: PhantomData,
        };
        call(libc::PTRACE_INTERRUPT, pid, 0, 0)?;
        match rustix::process::waitpid(Some(pid), WaitOptions::UNTRACED)? {
            Some((_, status)) if status.stopped() => Ok(tracee),
            _ => Err(Errno::SRCH),
        }
    }

    /// Reads eight bytes of its memory (`PTRACE_PEEKDATA`).
    ///
    /// # Errors
    ///
    /// `EIO` if nothing can be read there.
    pub fn peek(&self, address: usize) -> Result<u64> {
        let mut word = 0u64;
        // The kernel's call stores the word. The C library's function would return it, and takes
        // another number of arguments.
        // SAFETY: The kernel writes a word to `word`.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_ptrace,
                libc::PTRACE_PEEKDATA,
                self.pid.as_raw_nonzero().get(),
                address,
                &raw mut word,
            )
        };
        match ret {
            -1 => Err(last_error()),
            _ => Ok(word),
        }
    }

    /// Writes eight bytes of its memory (`PTRACE_POKEDATA`), within a mapping that it shares with
    /// this process: no Rust object lies there.
    ///
    /// # Errors
    ///
    /// `EIO` if nothing can be written there.
    pub fn poke(&self, part: (&crate::Mapping, usize), value: u64) -> Result<()> {
        let (mapping, offset) = part;
        let address = mapping.range(offset, 8).start;
        call(libc::PTRACE_POKEDATA, self.pid, address, value as usize)
    }
}

impl Drop for Tracee<'_> {
    fn drop(&mut self) {
        // It fails if the child has ended, which needs no detaching.
        let _ = call(libc::PTRACE_DETACH, self.pid, 0, 0);
    }
}

/// Makes a request that takes two numbers and changes no memory of this process.
fn call(request: libc::c_uint, pid: Pid, address: usize, data: usize) -> Result<()> {
    // SAFETY: The kernel writes to this process for none of the requests above.
    let ret = unsafe {
        libc::ptrace(
            request,
            pid.as_raw_nonzero().get(),
            ptr::without_provenance_mut::<c_void>(address),
            ptr::without_provenance_mut::<c_void>(data),
        )
    };
    match ret {
        -1 => Err(last_error()),
        _ => Ok(()),
    }
}
