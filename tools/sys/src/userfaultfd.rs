// SPDX-License-Identifier: GPL-2.0

//! `userfaultfd(2)`: reports of accesses to protected pages, to the program itself.
//!
//! This module has protection against stores and against all accesses (Linux 7.3), filling of holes
//! in the page tables, and events of unmapping. Protected pages belong to a [`Mapping`], and a
//! waiting access is one of another thread.

use crate::{Mapping, Result};
use linux_raw_sys::general::{
    uffdio_api, uffdio_continue, uffdio_copy, uffdio_move, uffdio_poison, uffdio_range,
    uffdio_register, uffdio_writeprotect, uffdio_zeropage, UFFDIO, UFFDIO_REGISTER_MODE_MINOR,
    UFFDIO_REGISTER_MODE_MISSING, UFFDIO_REGISTER_MODE_WP, UFFD_API, UFFD_EVENT_PAGEFAULT,
    UFFD_EVENT_UNMAP, UFFD_FEATURE_EVENT_UNMAP, UFFD_FEATURE_WP_ASYNC,
    UFFD_FEATURE_WP_HUGETLBFS_SHMEM, UFFD_PAGEFAULT_FLAG_MINOR, UFFD_PAGEFAULT_FLAG_WP,
    UFFD_PAGEFAULT_FLAG_WRITE, _UFFDIO_MOVE, _UFFDIO_POISON,
};
use linux_raw_sys::ioctl::{
    UFFDIO_API, UFFDIO_CONTINUE, UFFDIO_COPY, UFFDIO_REGISTER, UFFDIO_WRITEPROTECT, UFFDIO_ZEROPAGE,
};
use rustix::ioctl::opcode::read_write;
use rustix::ioctl::{ioctl, Opcode, Updater};
use rustix::mm::UserfaultfdFlags;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use zerocopy::IntoBytes;

/// `UFFD_FEATURE_RWP` of `include/uapi/linux/userfaultfd.h`, new in 7.3.
const FEATURE_RWP: u64 = 1 << 17;
/// `UFFDIO_REGISTER_MODE_RWP`.
const REGISTER_MODE_RWP: u64 = 1 << 3;
/// `UFFDIO_RWPROTECT`: as `UFFDIO_WRITEPROTECT`, with number 9.
const UFFDIO_RWPROTECT: u32 = UFFDIO_WRITEPROTECT + 3;
/// `UFFDIO_MOVE`.
const UFFDIO_MOVE: Opcode = read_write::<uffdio_move>(UFFDIO as u8, _UFFDIO_MOVE as u8);
/// `UFFDIO_POISON`.
const UFFDIO_POISON: Opcode = read_write::<uffdio_poison>(UFFDIO as u8, _UFFDIO_POISON as u8);
/// `UFFD_PAGEFAULT_FLAG_RWP`.
const PAGEFAULT_FLAG_RWP: u64 = 1 << 3;
/// `UFFDIO_WRITEPROTECT_MODE_WP`, `UFFDIO_RWPROTECT_MODE_RWP`: protect instead of releasing.
const MODE_PROTECT: u64 = 1;

/// The events that the program requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Accesses to pages that are not resident.
    Missing,
    /// Accesses to pages that are resident and not mapped.
    Minor,
    /// Stores to protected pages.
    Stores,
    /// All accesses to protected pages.
    Accesses,
}

/// The contents that [`Userfaultfd::fill`] puts into the page tables.
#[derive(Clone, Copy, Debug)]
pub enum Fill<'a> {
    /// A copy of these bytes (`UFFDIO_COPY`).
    Copy(&'a [u8]),
    /// Zeroes (`UFFDIO_ZEROPAGE`).
    Zeroes,
    /// The pages that the page cache holds (`UFFDIO_CONTINUE`).
    Cached,
    /// Marks that each access finds a memory error (`UFFDIO_POISON`).
    Poison,
    /// The first pages of another mapping, which loses them (`UFFDIO_MOVE`).
    Move(&'a Mapping),
}

/// A waiting access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The first byte of the page.
    pub address: usize,
    /// Whether it is a store.
    pub is_write: bool,
    /// The [`Mode`] that reports it.
    pub mode: Mode,
}

/// The descriptor of `userfaultfd(2)`.
#[derive(Debug)]
pub struct Userfaultfd {
    fd: OwnedFd,
    features: u64,
}

impl Userfaultfd {
    /// Makes one that receives all events of protected file pages that this kernel offers.
    ///
    /// # Errors
    ///
    /// Those of the call; `EPERM` without permission, `ENOSYS` if the kernel lacks it.
    pub fn new() -> Result<Self> {
        let offered = Self::with(0)?.features;
        let wanted = FEATURE_RWP | u64::from(UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
        Self::with(offered & wanted)
    }

    /// Makes one that receives the unmapping of registered addresses. The thread that unmaps waits
    /// until the event is read.
    ///
    /// # Errors
    ///
    /// As for [`Userfaultfd::new`].
    pub fn told_of_unmaps() -> Result<Self> {
        Self::with(UFFD_FEATURE_EVENT_UNMAP.into())
    }

    /// Makes one whose protected pages are released by the first store, without waiting. It accepts
    /// mappings of any file.
    ///
    /// # Errors
    ///
    /// As for [`Userfaultfd::new`].
    pub fn waiting_for_nobody() -> Result<Self> {
        let wanted = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
        Self::with(wanted.into())
    }

    /// Makes one with some features. Without any, it can query the available ones, which each
    /// descriptor does only once.
    fn with(features: u64) -> Result<Self> {
        // poll(2) does not work on a blocking one.
        let flags = UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK;
        // SAFETY: It changes memory only by the calls below, which take a `Mapping`.
        let fd = unsafe { rustix::mm::userfaultfd(flags) }?;
        let mut api = uffdio_api {
            api: UFFD_API.into(),
            features,
            ioctls: 0,
        };
        // SAFETY: The ioctl takes and fills a `uffdio_api`.
        unsafe { update::<{ UFFDIO_API }, _>(&fd, &mut api) }?;
        let features = api.features;
        Ok(Self { fd, features })
    }

    /// Returns whether the kernel can report this for pages of files.
    pub fn offers(&self, mode: Mode) -> bool {
        match mode {
            Mode::Missing | Mode::Minor => true,
            Mode::Stores => self.features & u64::from(UFFD_FEATURE_WP_HUGETLBFS_SHMEM) != 0,
            Mode::Accesses => self.features & FEATURE_RWP != 0,
        }
    }

    /// Registers a mapping for events.
    ///
    /// # Errors
    ///
    /// Those of `UFFDIO_REGISTER`; `EINVAL` if the object does not support it.
    pub fn register(&self, mapping: &Mapping, mode: Mode) -> Result<()> {
        let mut argument = uffdio_register {
            range: range(mapping, 0, mapping.len()),
            mode: match mode {
                Mode::Missing => UFFDIO_REGISTER_MODE_MISSING.into(),
                Mode::Minor => UFFDIO_REGISTER_MODE_MINOR.into(),
                Mode::Stores => UFFDIO_REGISTER_MODE_WP.into(),
                Mode::Accesses => REGISTER_MODE_RWP,
            },
            ioctls: 0,
        };
        // SAFETY: The ioctl takes and fills a `uffdio_register`.
        unsafe { update::<{ UFFDIO_REGISTER }, _>(&self.fd, &mut argument) }
    }

    /// Protects a part of a mapping, or releases it and the threads that wait for it.
    ///
    /// # Errors
    ///
    /// Those of the call; `ENOTSUP` for a mode that protects nothing.
    pub fn protect(&self, part: (&Mapping, usize, usize), mode: Mode, on: bool) -> Result<()> {
        let (mapping, offset, len) = part;
        let mut argument = uffdio_writeprotect {
            range: range(mapping, offset, len),
            mode: if on { MODE_PROTECT } else { 0 },
        };
        match mode {
            // SAFETY: Both ioctls take three words and change no contents of memory.
            Mode::Stores => unsafe {
                update::<{ UFFDIO_WRITEPROTECT }, _>(&self.fd, &mut argument)
            },
            // SAFETY: As above.
            Mode::Accesses => unsafe { update::<{ UFFDIO_RWPROTECT }, _>(&self.fd, &mut argument) },
            Mode::Missing | Mode::Minor => Err(crate::Errno::NOTSUP),
        }
    }

    /// Fills holes in the page tables of a part of a registered mapping.
    ///
    /// # Errors
    ///
    /// Those of the ioctl: `EINVAL` and `ENOMEM` if the object does not support it, `EFAULT` past
    /// EOF, `EEXIST` where a page is mapped.
    ///
    /// # Panics
    ///
    /// If the length of [`Fill::Copy`] is not that of the part.
    pub fn fill(&self, part: (&Mapping, usize, usize), fill: Fill<'_>) -> Result<()> {
        let (mapping, offset, len) = part;
        let range = range(mapping, offset, len);
        match fill {
            Fill::Copy(bytes) => {
                assert_eq!(bytes.len(), len, "bytes to fill the pages with");
                let mut argument = uffdio_copy {
                    dst: range.start,
                    src: bytes.as_ptr().expose_provenance() as u64,
                    len: range.len,
                    mode: 0,
                    copy: 0,
                };
                // SAFETY: The ioctl reads `len` bytes from `src`, which has as many, and changes
                // memory of a mapping, to which no references are ever made.
                unsafe { update::<{ UFFDIO_COPY }, _>(&self.fd, &mut argument) }
            }
            Fill::Zeroes => {
                let mut argument = uffdio_zeropage {
                    range,
                    mode: 0,
                    zeropage: 0,
                };
                // SAFETY: The ioctl changes memory of a mapping, to which no references are made.
                unsafe { update::<{ UFFDIO_ZEROPAGE }, _>(&self.fd, &mut argument) }
            }
            Fill::Cached => {
                let mut argument = uffdio_continue {
                    range,
                    mode: 0,
                    mapped: 0,
                };
                // SAFETY: As for `Zeroes`.
                unsafe { update::<{ UFFDIO_CONTINUE }, _>(&self.fd, &mut argument) }
            }
            Fill::Poison => {
                let mut argument = uffdio_poison {
                    range,
                    mode: 0,
                    updated: 0,
                };
                // SAFETY: As for `Zeroes`; an access that finds the mark is a `Fault`.
                unsafe { update::<{ UFFDIO_POISON }, _>(&self.fd, &mut argument) }
            }
            Fill::Move(from) => {
                let mut argument = uffdio_move {
                    dst: range.start,
                    src: from.range(0, len).start as u64,
                    len: range.len,
                    mode: 0,
                    move_: 0,
                };
                // SAFETY: As for `Zeroes`, of two mappings.
                unsafe { update::<{ UFFDIO_MOVE }, _>(&self.fd, &mut argument) }
            }
        }
    }

    /// Reads the event of a waiting access; returns `None` for an event of another kind.
    ///
    /// # Errors
    ///
    /// Those of the call; `EAGAIN` while no access waits, which poll(2) shows.
    pub fn event(&self) -> Result<Option<Event>> {
        let (kind, word) = self.message()?;
        if kind != UFFD_EVENT_PAGEFAULT {
            return Ok(None);
        }
        let has = |flag: u64| word[1] & flag != 0;
        Ok(Some(Event {
            address: word[2] as usize,
            is_write: has(UFFD_PAGEFAULT_FLAG_WRITE.into()),
            mode: match () {
                () if has(PAGEFAULT_FLAG_RWP) => Mode::Accesses,
                () if has(UFFD_PAGEFAULT_FLAG_WP.into()) => Mode::Stores,
                () if has(UFFD_PAGEFAULT_FLAG_MINOR.into()) => Mode::Minor,
                () => Mode::Missing,
            },
        }))
    }

    /// Reads the range of an unmap event; returns `None` for an event of another kind.
    ///
    /// # Errors
    ///
    /// As for [`Userfaultfd::event`].
    pub fn unmapped(&self) -> Result<Option<Range<usize>>> {
        let (kind, word) = self.message()?;
        Ok((kind == UFFD_EVENT_UNMAP).then(|| word[1] as usize..word[2] as usize))
    }

    /// Reads a `struct uffd_msg`: the kind, which is its first byte, and all of it in words.
    fn message(&self) -> Result<(u32, [u64; 4])> {
        let mut message = [0u64; 4];
        rustix::io::read(&self.fd, message.as_mut_bytes())?;
        let kind = message[0].to_ne_bytes()[0];
        Ok((kind.into(), message))
    }
}

impl AsFd for Userfaultfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Makes the range of a part of a mapping, which is checked to be the mapping's own.
fn range(mapping: &Mapping, offset: usize, len: usize) -> uffdio_range {
    let range = mapping.range(offset, len);
    uffdio_range {
        start: range.start as u64,
        len: range.len() as u64,
    }
}

/// Runs an ioctl that takes and fills a `T`.
///
/// # Safety
///
/// The ioctl of this number does so, and nothing else to memory of Rust objects.
unsafe fn update<const NUMBER: Opcode, T>(fd: &OwnedFd, argument: &mut T) -> Result<()> {
    // SAFETY: By this function's contract.
    unsafe { ioctl(fd, Updater::<NUMBER, T>::new(argument)) }
}
