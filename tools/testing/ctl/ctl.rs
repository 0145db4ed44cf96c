// SPDX-License-Identifier: GPL-2.0

//! The devices, and the odd behaviour of each that needs no type of its own.

use kernel::prelude::*;

/// The odd behaviour of a device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ctl {
    /// None, or that of its type.
    Plain,
    /// The hook fails with `EIO`.
    Fail,
    /// The hook keeps the VMA out of core dumps (`VM_DONTDUMP`).
    Dump,
    /// The hook marks the VMA as I/O memory (`VM_IO`).
    Io,
    /// The hook keeps mremap(2) from growing the VMA (`VM_DONTEXPAND`).
    DontExpand,
    /// The hook sleeps for [`SLOW_SECONDS`], with the mmap write lock held.
    Slow,
    /// `vm_ops->mapped` fails with `ENOSPC`.
    Mapped,
    /// The fault handler answers `VM_FAULT_SIGBUS` for pages from [`GOOD_PAGES`] on.
    Half,
    /// The fault handler answers `VM_FAULT_OOM` for pages from [`GOOD_PAGES`] on.
    NoMemory,
    /// The fault handler adds a missing page to the page cache and answers `VM_FAULT_RETRY`.
    Retry,
    /// The fault handler answers `VM_FAULT_RETRY` until `FAULT_FLAG_TRIED` is set.
    Spin,
    /// The fault handler of a private store supplies a page of zeroes to copy.
    CowZero,
    /// The fault handler of a private store answers `VM_FAULT_DONE_COW` without copying.
    CowDone,
}

/// The number of pages that [`Ctl::Half`] and [`Ctl::NoMemory`] can provide.
pub(crate) const GOOD_PAGES: usize = 4;

/// The time that the hook of [`Ctl::Slow`] takes, seconds.
pub(crate) const SLOW_SECONDS: i64 = 5;

/// A device: its behaviour, and its name.
pub(crate) type Entry = (Ctl, &'static CStr);

/// Devices with `.mmap`, a page cache and fault-around.
pub(crate) const AROUND: &[Entry] = &[
    (Ctl::Plain, c"rmmap-ctl-lazy"),
    (Ctl::Dump, c"rmmap-ctl-dump"),
    (Ctl::Io, c"rmmap-ctl-io"),
    (Ctl::DontExpand, c"rmmap-ctl-dontexpand"),
    (Ctl::Slow, c"rmmap-ctl-slow"),
];

/// Devices like [`AROUND`], with `.mmap_prepare`.
pub(crate) const AROUND_PREPARE: &[Entry] = &[(Ctl::Dump, c"rmmap-ctl-dump-prep")];

/// Devices with `.mmap` and a page cache, without fault-around.
pub(crate) const NO_AROUND: &[Entry] = &[
    (Ctl::Plain, c"rmmap-ctl-noaround"),
    (Ctl::Half, c"rmmap-ctl-half"),
    (Ctl::NoMemory, c"rmmap-ctl-oom"),
    (Ctl::Retry, c"rmmap-ctl-retry"),
    (Ctl::Spin, c"rmmap-ctl-spin"),
    (Ctl::CowZero, c"rmmap-ctl-cow-zero"),
    (Ctl::CowDone, c"rmmap-ctl-cow-done"),
];

/// Devices with `.mmap` and `vm_ops->close`.
pub(crate) const CLOSING: &[Entry] = &[
    (Ctl::Plain, c"rmmap-ctl-close"),
    (Ctl::Fail, c"rmmap-ctl-fail"),
];

/// Devices with `.mmap_prepare` and `vm_ops->close`.
pub(crate) const CLOSING_PREPARE: &[Entry] = &[(Ctl::Fail, c"rmmap-ctl-fail-prep")];

/// Devices with `.mmap_prepare` and `vm_ops->mapped`.
pub(crate) const MAPPED: &[Entry] = &[
    (Ctl::Plain, c"rmmap-ctl-prep"),
    (Ctl::Mapped, c"rmmap-ctl-mapped"),
];
