// SPDX-License-Identifier: GPL-2.0

//! A device's memory, and the counters of the operations that the kernel calls.

use crate::ctl::Ctl;
use kernel::{
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    }, //
};
use kernel_mm::{
    cache::inode::{
        Inode,
        InodeData, //
    },
    file::pseudo_fs::{
        InternalMount,
        PseudoFs, //
    },
    vm::pages::{
        PageBlock,
        PageList, //
    }, //
};

/// Size of each device's page cache, bytes.
const SIZE: u64 = 8 << 30;

pub(crate) static FS: PseudoFs<Memory> = PseudoFs::unowned(c"rmmap_ctl");

/// The memory of a device; it has no data besides its pages.
pub(crate) struct Memory;

impl InodeData for Memory {
    fn may_resize(&self, _size: u64) -> Result {
        Err(EPERM)
    }

    fn pages_removed(&self, _pages: usize) {}
}

/// An operation whose calls are counted.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    /// The hook of mmap(2): `.mmap` or `.mmap_prepare`.
    Hook,
    /// `vm_ops->open`.
    Open,
    /// `vm_ops->close`.
    Close,
    /// `vm_ops->mapped`.
    Mapped,
    /// `vm_ops->fault`.
    Fault,
    /// `vm_ops->fault` for a store.
    FaultWrite,
    /// `vm_ops->map_pages`.
    MapPages,
    /// `f_op->release`.
    Release,
}

/// Names of the counters, in the order of [`Call`].
const NAMES: [&str; 8] = [
    "hook",
    "open",
    "close",
    "mapped",
    "fault",
    "fault_write",
    "map_pages",
    "release",
];

/// The number of calls of each operation.
pub(crate) struct Counts([Atomic<i64>; NAMES.len()]);

impl Counts {
    pub(crate) fn count(&self, call: Call) {
        self.0[call as usize].add(1, Relaxed);
    }
}

/// A device.
pub(crate) struct Device {
    pub(crate) ctl: Ctl,
    pub(crate) memory: ARef<Inode<Memory>>,
    pub(crate) counts: Counts,
    /// A page that is not in the page cache, with a reference count.
    pub(crate) page: PageList,
    /// A page without a reference count.
    pub(crate) frame: PageBlock,
}

impl Device {
    pub(crate) fn new(mount: &InternalMount<Memory>, ctl: Ctl) -> Result<Self> {
        Ok(Self {
            ctl,
            memory: mount.create_inode(SIZE, KBox::new(Memory, GFP_KERNEL)?)?,
            counts: Counts(core::array::from_fn(|_| Atomic::new(0))),
            page: PageList::new(1)?,
            frame: PageBlock::new(0)?,
        })
    }

    /// Returns the text for read(2): a line `NAME NUMBER` for each counter; the last two are the
    /// references to `page` and the pages in the page cache.
    pub(crate) fn report(&self) -> Result<KVec<u8>> {
        let mut report = KVec::new();
        let mut line = |name: &str, value: i64| -> Result {
            let line = CString::try_from_fmt(fmt!("{name} {value}\n"))?;
            Ok(report.extend_from_slice(line.to_bytes(), GFP_KERNEL)?)
        };
        for (name, count) in NAMES.iter().zip(&self.counts.0) {
            line(name, count.load(Relaxed))?;
        }
        line("references", self.page.references(0).unwrap_or(0) as i64)?;
        line("cached", self.memory.mapping().nr_pages() as i64)?;
        Ok(report)
    }
}
