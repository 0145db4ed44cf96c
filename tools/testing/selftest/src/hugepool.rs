// SPDX-License-Identifier: GPL-2.0

//! A pool of huge pages; by default a system has none.

use crate::context::PMD;
use crate::outcome::{cannot, Result, Stop};
use crate::sysctl::Sysctl;
use rmmap_procfs::process::meminfo;
use rmmap_sys::rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use std::os::fd::OwnedFd;

/// Size of a huge page by default, bytes.
pub const HUGE: usize = PMD;

/// A pool, restored to its former size on drop.
#[derive(Debug)]
pub struct HugePool(#[expect(dead_code, reason = "dropped for its effect")] Sysctl);

impl HugePool {
    /// Makes a pool of this many free pages, or returns the reason to skip the test.
    pub fn new(pages: u64) -> Result<Self> {
        let sysctl = Sysctl::set("vm/nr_hugepages", pages)?;
        if sysctl.value()? < pages {
            // Memory may be fragmented: try again after compaction, with dropped caches.
            let none = |e| cannot("make room for huge pages", e);
            std::fs::write("/proc/sys/vm/drop_caches", "3").map_err(none)?;
            std::fs::write("/proc/sys/vm/compact_memory", "1").map_err(none)?;
            sysctl.change(pages)?;
        }
        let (have, free) = (sysctl.value()?, Self::count("Free")?);
        if have != pages || free != pages {
            return Err(Stop::skip(format_args!(
                "needs {pages} free huge pages: the pool has {have}, {free} of them free"
            )));
        }
        Ok(Self(sysctl))
    }

    /// Returns `HugePages_*` of `/proc/meminfo`: `Total`, `Free`, `Rsvd`, `Surp`.
    #[track_caller]
    pub fn count(name: &str) -> Result<u64> {
        let name = format!("HugePages_{name}");
        let count = meminfo()?.get(&name);
        count.ok_or_else(|| Stop::skip(format_args!("this kernel has no huge pages ({name})")))
    }

    /// Creates a file of huge pages.
    #[track_caller]
    pub fn file(&self, bytes: usize) -> Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB;
        let fd = memfd_create("rmmap-selftest-huge", flags)?;
        ftruncate(&fd, bytes as u64)?;
        Ok(fd)
    }
}
