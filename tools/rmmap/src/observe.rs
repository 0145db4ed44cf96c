// SPDX-License-Identifier: GPL-2.0

//! The kernel's information about a mapping of this process, before and after an event.

use anyhow::{anyhow, Context};
use rmmap_procfs::Process;
use rmmap_sys::{
    process::{faults, Faults},
    rustix::mm::{mlockall, munlockall, MlockAllFlags},
    Device, Errno, Fault, MapOptions, Mapping, Signal, PAGE_SIZE,
};
use rmmap_uapi::RmmapCounters;

use crate::{device, target::Target};

/// The number of pages of the observed mappings.
pub const PAGES: usize = 16;

/// The address of the mapping: far from any mapping that it could merge with.
pub const ADDRESS: usize = 0x1000_0000_0000;

/// The counters at one moment.
pub struct Counts {
    /// Page faults of this process.
    pub faults: Faults,
    /// The counters of the mapped region.
    pub device: RmmapCounters,
}

impl Counts {
    /// Reads the counters before an event: the faults last, so that they exclude those of reading.
    pub fn before(target: Option<&Target>) -> anyhow::Result<Self> {
        let device = counters(target)?;
        let faults = faults();
        Ok(Self { faults, device })
    }

    /// Reads the counters after an event: the faults first.
    pub fn after(target: Option<&Target>) -> anyhow::Result<Self> {
        let faults = faults();
        let device = counters(target)?;
        Ok(Self { faults, device })
    }
}

/// Returns the counters of the mapped region; zeroes for memory that is not the device's.
fn counters(target: Option<&Target>) -> anyhow::Result<RmmapCounters> {
    match target {
        Some(target) => Ok(device::stats(&target.device)?.region),
        None => Ok(RmmapCounters::default()),
    }
}

/// Calls mmap(2).
pub fn map(options: &MapOptions, device: Option<&Device>) -> anyhow::Result<Mapping> {
    let mapping = match device {
        Some(device) => options.map(device),
        None => options.map_anonymous(),
    };
    mapping.map_err(|errno| anyhow!("mmap failed: {errno}{}", limit(errno)))
}

/// Takes the page faults that would occur at first accesses after fork(2).
///
/// A rehearsal on memory of the same size takes those of the code and of the heap. If the limit on
/// locked memory allows it, mlockall(2) takes all the others.
pub fn rehearse() -> anyhow::Result<()> {
    let rehearsal = map(&MapOptions::new(PAGES * PAGE_SIZE).hint(ADDRESS), None)?;
    Counts::after(None)?;
    resident(&rehearsal)?;
    touch_all(&rehearsal)?;
    given_back(rehearsal)?;
    if mlockall(MlockAllFlags::CURRENT).is_ok() {
        munlockall().context("munlockall failed")?;
    }
    Ok(())
}

/// Returns the usual remedy if memory may not be locked.
pub fn limit(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM | Errno::NOMEM | Errno::AGAIN => {
            " (locking needs CAP_IPC_LOCK or a larger RLIMIT_MEMLOCK: run it as root, or see \
             `ulimit -l`)"
        }
        _ => "",
    }
}

/// Writes to every page.
pub fn touch_all(mapping: &Mapping) -> anyhow::Result<()> {
    for page in 0..mapping.pages() {
        mapping
            .touch_write(page, 1)
            .map_err(|fault| anyhow!("writing to page {page} raised {}", signal(&fault)))?;
    }
    Ok(())
}

/// Returns the name and the usual cause of the signal that an access raised.
pub fn signal(fault: &Fault) -> &'static str {
    match fault.signal {
        Signal::Bus => {
            "SIGBUS: the device had no page for it (max_bytes reached, or no memory: see \
             `rmmap stat`)"
        }
        Signal::Segv => "SIGSEGV",
    }
}

/// Returns the number of the mapping's pages in this process's page table.
pub fn resident(mapping: &Mapping) -> anyhow::Result<u64> {
    let pagemap = Process::Myself.pagemap()?;
    Ok(pagemap.resident(mapping.address(), mapping.pages())? as u64)
}

/// Unmaps, and returns how much locked memory (VmLck, kB) that released.
pub fn given_back(mapping: Mapping) -> anyhow::Result<u64> {
    let locked = || -> anyhow::Result<u64> {
        let status = Process::Myself.status()?;
        status
            .get("VmLck")
            .context("this kernel's /proc/self/status has no VmLck")
    };
    let before = locked()?;
    drop(mapping);
    Ok(before.saturating_sub(locked()?))
}
