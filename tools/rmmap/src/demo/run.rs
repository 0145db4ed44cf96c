// SPDX-License-Identifier: GPL-2.0

//! Runs one case, in a process of its own, and records what the kernel did.
//!
//! The process is forked for the case: mlockall(2) concerns a whole process, and what the case
//! locks or leaves behind is gone with it.

use anyhow::{anyhow, Context};
use rmmap_procfs::{Process, Smap, VmFlags};
use rmmap_sys::{
    process::{faults, Faults},
    run_in_child,
    rustix::{
        mm::{mlockall, munlockall, MlockAllFlags},
        thread::disable_transparent_huge_pages,
    },
    Device, End, Errno, Fault, MapOptions, Mapping, Signal, PAGE_SIZE,
};
use rmmap_uapi::RmmapCounters;
use serde::{Deserialize, Serialize};

use crate::device;

use super::{
    case::{Case, Way, PAGES},
    facts::Facts,
    target::{Object, Target},
};

/// Where the mapping shall lie: far from anything that it could merge with.
const ADDRESS: usize = 0x1000_0000_0000;

/// What the kernel did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observation {
    /// What is compared with the expectation.
    pub facts: Facts,
    /// All flags of the mapping, as smaps prints them.
    pub vm_flags: VmFlags,
    /// What the device's mapping is called in maps.
    pub target: Option<String>,
}

/// Runs a case in a child.
pub fn observe(case: Case, object: Object) -> anyhow::Result<Observation> {
    let (end, answer) = run_in_child(|| {
        let result = in_child(case, object).map_err(|error| format!("{error:#}"));
        serde_json::to_vec(&result).unwrap_or_default()
    })
    .context("cannot fork")?;
    match end {
        End::Exited(0) => serde_json::from_slice::<Result<Observation, String>>(&answer)
            .context("the child's answer is cut off")?
            .map_err(|error| anyhow!(error)),
        End::Exited(status) => Err(anyhow!("the child exited with status {status}")),
        End::Killed(signal) => Err(anyhow!("the child was killed by signal {signal}")),
    }
}

/// What is counted at one moment.
struct Moment {
    faults: Faults,
    device: RmmapCounters,
}

impl Moment {
    /// Before something happens: the faults are read last, so that reading costs none of them.
    fn before(target: Option<&Target>) -> anyhow::Result<Self> {
        let device = counters(target)?;
        let faults = faults();
        Ok(Self { faults, device })
    }

    /// After something happened: the faults are read first.
    fn after(target: Option<&Target>) -> anyhow::Result<Self> {
        let faults = faults();
        let device = counters(target)?;
        Ok(Self { faults, device })
    }
}

/// The counters of the region that is mapped; zeroes for memory that is not the device's.
fn counters(target: Option<&Target>) -> anyhow::Result<RmmapCounters> {
    match target {
        Some(target) => Ok(device::stats(&target.device)?.region),
        None => Ok(RmmapCounters::default()),
    }
}

/// Bytes that the region holds.
fn held(target: Option<&Target>) -> anyhow::Result<u64> {
    match target {
        Some(target) => Ok(target
            .device
            .info()
            .context("RMMAP_IOC_INFO failed")?
            .resident),
        None => Ok(0),
    }
}

/// Runs the case in this process.
fn in_child(case: Case, object: Object) -> anyhow::Result<Observation> {
    let target = match case.kind.is_file() {
        true => Some(Target::new(object)?),
        false => None,
    };
    let target = target.as_ref();
    let options = options(case, target);
    settle(case)?;

    let held_before = held(target)?;
    if case.way == Way::LockallFuture {
        lock_all(MlockAllFlags::FUTURE)?;
    }
    let start = Moment::before(target)?;
    let mapping = map(&options, target.map(|target| &target.device))?;
    if case.way == Way::LockallCurrent {
        lock_all(MlockAllFlags::CURRENT)?;
    }
    let mapped = Moment::after(target)?;
    let resident_after_mmap = resident(&mapping)?;

    let touch = Moment::before(target)?;
    touch_all(&mapping)?;
    let touched = Moment::after(target)?;
    let resident_after_touch = resident(&mapping)?;

    let smap = Process::Myself.smap_at(mapping.address())?;
    let held_after = held(target)?;
    let locked_kb = given_back(mapping)?;
    let facts = Facts {
        resident_after_mmap,
        resident_after_touch,
        faults_mmap: mapped.faults.minor - start.faults.minor,
        faults_touch: touched.faults.minor - touch.faults.minor,
        faults_major: touched.faults.major - start.faults.major,
        held: held_after.saturating_sub(held_before) / PAGE_SIZE as u64,
        locked_kb,
        ..device_facts(&start.device, &touched.device)
    };
    Ok(observation(facts, smap, target))
}

/// Completes the facts with what smaps says.
fn observation(facts: Facts, smap: Smap, target: Option<&Target>) -> Observation {
    Observation {
        facts: Facts {
            anonymous: smap.kb("Anonymous") * 1024 / PAGE_SIZE as u64,
            flags: Facts::decided(&smap.vm_flags),
            name: smap.map.name.clone(),
            ..facts
        },
        vm_flags: smap.vm_flags,
        target: target.map(|target| target.name.clone()),
    }
}

/// What the device's counters say happened in between.
fn device_facts(before: &RmmapCounters, after: &RmmapCounters) -> Facts {
    let new = |get: fn(&RmmapCounters) -> u64| get(after).wrapping_sub(get(before));
    Facts {
        answer_new: new(|c| c.answer_new),
        answer_cached: new(|c| c.answer_cached),
        answer_zero: new(|c| c.answer_zero),
        answer_other: new(|c| c.answer_sigbus + c.answer_oom + c.answer_retry),
        map_pages: new(|c| c.map_pages),
        hook: new(|c| c.mmap),
        ..Facts::default()
    }
}

/// The arguments of mmap(2).
fn options(case: Case, target: Option<&Target>) -> MapOptions {
    let options = MapOptions::new(PAGES * PAGE_SIZE).hint(ADDRESS);
    let options = match case.kind.is_shared() {
        true => options,
        false => options.private(),
    };
    options
        .flags(case.way.flags())
        .offset(target.map_or(0, |target| target.offset))
}

/// Calls mmap(2).
fn map(options: &MapOptions, device: Option<&Device>) -> anyhow::Result<Mapping> {
    let mapping = match device {
        Some(device) => options.map(device),
        None => options.map_anonymous(),
    };
    mapping.map_err(|errno| anyhow!("mmap failed: {errno}{}", limit(errno)))
}

/// Brings this process to a state in which only the case itself takes page faults.
fn settle(case: Case) -> anyhow::Result<()> {
    if !case.kind.is_file() {
        // Otherwise the core may answer one fault with several pages, as the machine is set up.
        disable_transparent_huge_pages(true).context("prctl(PR_SET_THP_DISABLE) failed")?;
    }
    prepare_process()
}

/// Takes the page faults that fork(2) left to be taken at the first access.
///
/// A rehearsal on memory of the same size takes those of the code and of the heap. Where the limit
/// on locked memory allows it, mlockall(2) takes all the others.
pub fn prepare_process() -> anyhow::Result<()> {
    let rehearsal = map(&MapOptions::new(PAGES * PAGE_SIZE).hint(ADDRESS), None)?;
    Moment::after(None)?;
    resident(&rehearsal)?;
    touch_all(&rehearsal)?;
    given_back(rehearsal)?;
    if mlockall(MlockAllFlags::CURRENT).is_ok() {
        munlockall().context("munlockall failed")?;
    }
    Ok(())
}

/// Calls mlockall(2).
fn lock_all(flags: MlockAllFlags) -> anyhow::Result<()> {
    mlockall(flags).map_err(|errno| anyhow!("mlockall failed: {errno}{}", limit(errno)))
}

/// The usual remedy where memory may not be locked.
fn limit(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM | Errno::NOMEM | Errno::AGAIN => {
            " (locking needs CAP_IPC_LOCK or a larger RLIMIT_MEMLOCK: run it as root, or see \
             `ulimit -l`)"
        }
        _ => "",
    }
}

/// Writes to every page.
fn touch_all(mapping: &Mapping) -> anyhow::Result<()> {
    for page in 0..mapping.pages() {
        mapping
            .touch_write(page, 1)
            .map_err(|fault| anyhow!("writing to page {page} raised {}", signal(&fault)))?;
    }
    Ok(())
}

/// Name and usual cause of the signal that an access raised.
pub fn signal(fault: &Fault) -> &'static str {
    match fault.signal {
        Signal::Bus => {
            "SIGBUS: the device had no page for it (max_bytes reached, or no memory: see \
             `rmmap stat`)"
        }
        Signal::Segv => "SIGSEGV",
    }
}

/// Pages of the mapping that this process has in its page table.
fn resident(mapping: &Mapping) -> anyhow::Result<u64> {
    let pagemap = Process::Myself.pagemap()?;
    Ok(pagemap.resident(mapping.address(), mapping.pages())? as u64)
}

/// Unmaps, and returns how much locked memory (VmLck, kB) went with it.
fn given_back(mapping: Mapping) -> anyhow::Result<u64> {
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
