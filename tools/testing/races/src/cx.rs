// SPDX-License-Identifier: GPL-2.0

//! What a scenario runs with.

use crate::plugin::{self, Delay};
use anyhow::{anyhow, bail, ensure, Context, Result};
use rmmap_sys::rustix::fs::ftruncate;
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::rustix::thread::{sched_setaffinity, CpuSet};
use rmmap_sys::uapi::{RMMAP_CREATE_ALWAYS, RMMAP_CREATE_NEVER};
use rmmap_sys::{module, Device, Fault, Signal, PAGE_SIZE};
use std::cell::Cell;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Size of a page.
pub const P: usize = PAGE_SIZE;

/// The quota, pages, and the number of regions: small, so that a scenario can use them up.
pub const QUOTA: usize = 1100;
/// See above.
pub const REGIONS: usize = 8;

/// Policies of regions.
pub const SMALL: u32 = RMMAP_CREATE_NEVER;
/// See above.
pub const LARGE: u32 = RMMAP_CREATE_ALWAYS;

/// How long a trial may take. At the end nothing else takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a trial runs with.
pub struct Cx<'a> {
    /// The module's image.
    pub image: &'a [u8],
    /// What is delayed.
    pub delay: Delay,
    /// The number of executions of each point that are of interest.
    pub hits: u64,
    /// Whether the module was loaded anew.
    pub reloaded: Cell<bool>,
}

impl Cx<'_> {
    /// Runs two operations at the same time, one of them delayed.
    pub fn race<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> Result<(A, B)> {
        plugin::arm(self.delay, self.hits);
        let is_ready = &AtomicBool::new(false);
        std::thread::scope(|scope| {
            let b = scope.spawn(move || -> Result<B> {
                pin(1)?;
                is_ready.store(true, Ordering::SeqCst);
                plugin::begin(1);
                let result = b();
                plugin::end(1);
                Ok(result)
            });
            // Both must run: the plugin stops a processor, and all that is on it.
            while !is_ready.load(Ordering::SeqCst) && !b.is_finished() {
                std::thread::yield_now();
            }
            plugin::begin(0);
            let result = a();
            plugin::end(0);
            let b = b.join().map_err(|_| anyhow!("a role panicked"))?;
            TRIALS.fetch_add(1, Ordering::SeqCst);
            Ok((result, b?))
        })
    }

    /// Loads the module.
    pub fn load(&self) -> Result<()> {
        load(self.image)?;
        self.reloaded.set(true);
        Ok(())
    }
}

/// Loads a module.
pub fn load(image: &[u8]) -> Result<()> {
    let (quota, capacity) = (QUOTA * P, 64 * P);
    let parameters = format!("max_bytes={quota} capacity={capacity} max_regions={REGIONS}");
    module::load_image(image, &parameters).context("cannot load the module")
}

/// The number of trials so far.
static TRIALS: AtomicU64 = AtomicU64::new(0);

/// Pins this thread to a processor.
pub fn pin(processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).context("this needs two processors")
}

/// Ends the guest when a trial does not end: nobody can end a task that waits for a lock forever.
pub fn watch_for_hangs() {
    std::thread::spawn(|| loop {
        let before = TRIALS.load(Ordering::SeqCst);
        std::thread::sleep(PATIENCE);
        if TRIALS.load(Ordering::SeqCst) == before {
            println!("FAILED a trial: it does not end");
            for key in ["w", "o"] {
                let _ = fs::write("/proc/sysrq-trigger", key);
            }
        }
    });
}

/// Creates a region of some pages.
pub fn region(pages: usize, flags: u32) -> Result<Device> {
    Ok(Device::open()?.create((pages * P) as u64, flags)?)
}

/// Creates a region with ones in all its bytes.
pub fn ones(bytes: usize, flags: u32) -> Result<Device> {
    let region = Device::open()?.create(bytes as u64, flags)?;
    fill(&region, 0, bytes, 1)?;
    Ok(region)
}

/// Writes bytes.
pub fn fill(region: &Device, offset: usize, len: usize, byte: u8) -> Result<()> {
    let written = pwrite(region, &vec![byte; len], offset as u64)?;
    ensure!(written == len, "wrote {written} of {len} bytes");
    Ok(())
}

/// Calls ftruncate(2).
pub fn resize(region: &Device, size: usize) -> rmmap_sys::Result<()> {
    ftruncate(region, size as u64)
}

/// Returns whether an access succeeded or was refused as one past EOF, or without memory.
pub fn stored(access: Result<(), Fault>) -> Result<bool> {
    match access {
        Ok(()) => Ok(true),
        Err(fault) if fault.signal == Signal::Bus => Ok(false),
        Err(fault) => Err(fault.into()),
    }
}

/// Returns all bytes.
pub fn bytes(region: &Device) -> Result<Vec<u8>> {
    let size = region.info()?.size as usize;
    let mut data = vec![0xee; size + 1];
    let read = pread(region, &mut data, 0)?;
    ensure!(read == size, "read {read} of {size} bytes");
    data.truncate(size);
    Ok(data)
}

/// Uses up the quota but for some pages.
pub fn ballast(free: usize) -> Result<Device> {
    let pages = QUOTA - free;
    let region = region(pages, LARGE)?;
    region.allocate(0, (pages * P) as u64)?;
    Ok(region)
}

/// Checks that the quota counts exactly the pages of these regions, and that no region has a page
/// past EOF.
pub fn check_pages(regions: &[&Device]) -> Result<()> {
    let mut resident = 0;
    let mut used = 0;
    for region in regions {
        let info = region.info()?;
        let most = info.size.next_multiple_of(P as u64);
        ensure!(
            info.resident <= most,
            "{} bytes are resident, the size is {}",
            info.resident,
            info.size
        );
        resident += info.resident;
        used = info.used_bytes;
    }
    ensure!(
        used == resident,
        "{used} bytes are charged, {resident} are resident"
    );
    Ok(())
}

/// Checks that each byte is one of these.
pub fn check_bytes(what: &str, found: &[u8], allowed: &[u8]) -> Result<()> {
    let odd = found.iter().position(|byte| !allowed.contains(byte));
    match odd {
        None => Ok(()),
        Some(at) => bail!("{what}: byte {at} of {} is {}", found.len(), found[at]),
    }
}
