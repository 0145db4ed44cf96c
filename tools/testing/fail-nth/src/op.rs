// SPDX-License-Identifier: GPL-2.0

//! Operations, and how they may end.

use crate::faults::Faults;
use anyhow::{ensure, Result};
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::{Device, Errno, Fault, PAGE_SIZE};
use std::cell::Cell;
use std::fmt;
use std::io;

/// Size of a page.
pub const P: usize = PAGE_SIZE;

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It did what it is for, or a part of it.
    Done,
    /// With an error.
    Failed(Errno),
    /// With `SIGBUS`.
    Bus,
    /// With another signal.
    Signal,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("success"),
            Self::Failed(errno) => f.write_str(&rmmap_sys::process::errno_name(*errno)),
            Self::Bus => f.write_str("SIGBUS"),
            Self::Signal => f.write_str("SIGSEGV"),
        }
    }
}

impl<T> From<&Result<T, Errno>> for Answer {
    fn from(result: &Result<T, Errno>) -> Self {
        result
            .as_ref()
            .err()
            .map_or(Self::Done, |e| Self::Failed(*e))
    }
}

impl<T> From<&Result<T, Fault>> for Answer {
    fn from(result: &Result<T, Fault>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(fault) if fault.is_beyond_end() => Self::Bus,
            Err(_) => Self::Signal,
        }
    }
}

impl<T> From<&io::Result<T>> for Answer {
    fn from(result: &io::Result<T>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(e) => Self::Failed(Errno::from_io_error(e).unwrap_or(Errno::IO)),
        }
    }
}

/// What an operation runs with.
pub struct Cx<'a> {
    /// The thread's count.
    pub faults: &'a Faults,
    /// The allocation that fails; none at all if 0.
    pub nth: u32,
    /// Whether it failed.
    pub has_failed: Cell<bool>,
}

impl Cx<'_> {
    /// Makes the call of the operation, once in each operation.
    pub fn call<T>(&self, f: impl FnOnce() -> T) -> Result<T> {
        if self.nth == 0 {
            return Ok(f());
        }
        let (done, has_failed) = self.faults.fail(self.nth, f)?;
        self.has_failed.set(has_failed);
        Ok(done)
    }
}

/// An operation, with a state of its own that it leaves nothing of.
pub struct Op {
    /// Its name.
    pub name: &'static str,
    /// How it may end where an allocation fails; success is always allowed.
    pub may: &'static [Answer],
    /// Sets up, makes the call through [`Cx::call`], checks what it did, and undoes everything.
    pub run: fn(&Cx<'_>) -> Result<Answer>,
}

/// A call that allocates only.
pub const NOMEM: &[Answer] = &[Answer::Failed(Errno::NOMEM)];
/// A call that also copies from or to the program.
pub const COPIES: &[Answer] = &[Answer::Failed(Errno::NOMEM), Answer::Failed(Errno::FAULT)];
/// A call without allocations of its own that copies.
pub const FAULT: &[Answer] = &[Answer::Failed(Errno::FAULT)];
/// An access to memory.
pub const BUS: &[Answer] = &[Answer::Bus];
/// Nothing that fails matters.
pub const NONE: &[Answer] = &[];

/// Makes an [`Op`].
pub const fn op(
    name: &'static str,
    may: &'static [Answer],
    run: fn(&Cx<'_>) -> Result<Answer>,
) -> Op {
    Op { name, may, run }
}

/// Creates a region of some pages.
pub fn region(pages: usize, flags: u32) -> Result<Device> {
    Ok(Device::open()?.create((pages * P) as u64, flags)?)
}

/// The bytes of a page of [`filled`].
pub fn byte(page: usize) -> u8 {
    (page % 250 + 1) as u8
}

/// Creates a region with data in all its pages.
pub fn filled(pages: usize, flags: u32) -> Result<Device> {
    let region = region(pages, flags)?;
    let data: Vec<u8> = (0..pages).flat_map(|page| [byte(page); P]).collect();
    let written = pwrite(&region, &data, 0)?;
    ensure!(written == data.len(), "wrote {written} of {}", data.len());
    Ok(region)
}

/// Returns all bytes of a region.
pub fn bytes(region: &Device) -> Result<Vec<u8>> {
    let size = region.info()?.size as usize;
    let mut data = vec![0; size];
    let mut at = 0;
    while at < size {
        match pread(region, &mut data[at..], at as u64)? {
            0 => break,
            n => at += n,
        }
    }
    ensure!(at == size, "read {at} of {size} bytes");
    Ok(data)
}

/// Checks that a region has the data of [`filled`] in its first pages, and zeroes after them.
pub fn check_filled(region: &Device, pages: usize) -> Result<()> {
    for (page, data) in bytes(region)?.chunks(P).enumerate() {
        let wanted = if page < pages { byte(page) } else { 0 };
        let at = data.iter().position(|byte| *byte != wanted);
        if let Some(at) = at {
            anyhow::bail!("byte {at} of page {page} is {}, not {wanted}", data[at]);
        }
    }
    Ok(())
}
