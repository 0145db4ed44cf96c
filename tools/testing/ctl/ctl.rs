// SPDX-License-Identifier: GPL-2.0

//! The devices, and in which way each is odd, where it takes no type of its own to be so.

use kernel::prelude::*;

/// In which way a device is odd.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ctl {
    /// In none, or by its type.
    Plain,
    /// The hook fails with `EIO`.
    Fail,
    /// The hook keeps the VMA out of core dumps (`VM_DONTDUMP`).
    Dump,
    /// The hook marks the VMA as one of device registers (`VM_IO`).
    Io,
    /// The hook keeps mremap(2) from growing the VMA (`VM_DONTEXPAND`).
    DontExpand,
    /// The hook sleeps for [`SLOW_SECONDS`], with the mmap write lock held.
    Slow,
    /// `vm_ops->mapped` fails with `ENOSPC`.
    Mapped,
    /// Pages from [`GOOD_PAGES`] on are answered with `SIGBUS`.
    Half,
    /// Pages from [`GOOD_PAGES`] on are answered with `VM_FAULT_OOM`.
    NoMemory,
    /// A page that is missing is put into the page cache and the fault answered with
    /// `VM_FAULT_RETRY`.
    Retry,
    /// Every fault is answered with `VM_FAULT_RETRY` until `FAULT_FLAG_TRIED` is set.
    Spin,
    /// A private store is given a page of zeroes to copy.
    CowZero,
    /// A private store is answered with `VM_FAULT_DONE_COW`, with nothing done.
    CowDone,
}

/// How many pages [`Ctl::Half`] and [`Ctl::NoMemory`] have.
pub(crate) const GOOD_PAGES: usize = 4;

/// How long the hook of [`Ctl::Slow`] takes.
pub(crate) const SLOW_SECONDS: i64 = 5;

/// A device.
pub(crate) type Entry = (Ctl, &'static CStr);

/// With `.mmap`, a page cache and fault-around.
pub(crate) const AROUND: &[Entry] = &[
    (Ctl::Plain, c"rmmap-ctl-lazy"),
    (Ctl::Dump, c"rmmap-ctl-dump"),
    (Ctl::Io, c"rmmap-ctl-io"),
    (Ctl::DontExpand, c"rmmap-ctl-dontexpand"),
    (Ctl::Slow, c"rmmap-ctl-slow"),
];

/// The same with `.mmap_prepare`.
pub(crate) const AROUND_PREPARE: &[Entry] = &[(Ctl::Dump, c"rmmap-ctl-dump-prep")];

/// With `.mmap` and a page cache, without fault-around.
pub(crate) const NO_AROUND: &[Entry] = &[
    (Ctl::Plain, c"rmmap-ctl-noaround"),
    (Ctl::Half, c"rmmap-ctl-half"),
    (Ctl::NoMemory, c"rmmap-ctl-oom"),
    (Ctl::Retry, c"rmmap-ctl-retry"),
    (Ctl::Spin, c"rmmap-ctl-spin"),
    (Ctl::CowZero, c"rmmap-ctl-cow-zero"),
    (Ctl::CowDone, c"rmmap-ctl-cow-done"),
];

/// With `.mmap` and `vm_ops->close`.
pub(crate) const CLOSING: &[Entry] = &[
    (Ctl::Plain, c"rmmap-ctl-close"),
    (Ctl::Fail, c"rmmap-ctl-fail"),
];

/// With `.mmap_prepare` and `vm_ops->close`.
pub(crate) const CLOSING_PREPARE: &[Entry] = &[(Ctl::Fail, c"rmmap-ctl-fail-prep")];

/// With `.mmap_prepare` and `vm_ops->mapped`.
pub(crate) const MAPPED: &[Entry] = &[
    (Ctl::Plain, c"rmmap-ctl-prep"),
    (Ctl::Mapped, c"rmmap-ctl-mapped"),
];
