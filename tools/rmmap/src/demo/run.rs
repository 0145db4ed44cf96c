// SPDX-License-Identifier: GPL-2.0

//! Runs one case, in a process of its own, and records what the kernel did.
//!
//! The process is forked for the case: mlockall(2) applies to a whole process, and its end releases
//! all that the case locked or left mapped.

use anyhow::{anyhow, Context};
use rmmap_procfs::{Process, Smap, VmFlags};
use rmmap_sys::{
    run_in_child,
    rustix::{
        mm::{mlockall, MlockAllFlags},
        thread::disable_transparent_huge_pages,
    },
    End, MapOptions, PAGE_SIZE,
};
use rmmap_uapi::RmmapCounters;
use serde::{Deserialize, Serialize};

use crate::{
    observe::{given_back, limit, map, rehearse, resident, touch_all, Counts, ADDRESS, PAGES},
    target::{Object, Target},
};

use super::{
    case::{Case, Way},
    facts::Facts,
};

/// The observation of a case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observation {
    /// The facts that are compared with the expectation.
    pub facts: Facts,
    /// All flags of the mapping, as smaps prints them.
    pub vm_flags: VmFlags,
    /// The name of the device's mapping in maps.
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

/// Returns the bytes that the region holds.
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
        true => Some(Target::new(object, (PAGES * PAGE_SIZE) as u64)?),
        false => None,
    };
    let target = target.as_ref();
    let options = options(case, target);
    settle(case)?;

    let held_before = held(target)?;
    if case.way == Way::LockallFuture {
        lock_all(MlockAllFlags::FUTURE)?;
    }
    let start = Counts::before(target)?;
    let mapping = map(&options, target.map(|target| &target.device))?;
    if case.way == Way::LockallCurrent {
        lock_all(MlockAllFlags::CURRENT)?;
    }
    let mapped = Counts::after(target)?;
    let resident_after_mmap = resident(&mapping)?;

    let touch = Counts::before(target)?;
    touch_all(&mapping)?;
    let touched = Counts::after(target)?;
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

/// Adds the facts from smaps.
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

/// Returns the facts from the device's counters before and after.
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

/// Returns the arguments of mmap(2).
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

/// Puts this process into a state in which only the case itself takes page faults.
fn settle(case: Case) -> anyhow::Result<()> {
    if !case.kind.is_file() {
        // Otherwise the core may answer one fault with several pages, depending on the machine's
        // settings.
        disable_transparent_huge_pages(true).context("prctl(PR_SET_THP_DISABLE) failed")?;
    }
    rehearse()
}

/// Calls mlockall(2).
fn lock_all(flags: MlockAllFlags) -> anyhow::Result<()> {
    mlockall(flags).map_err(|errno| anyhow!("mlockall failed: {errno}{}", limit(errno)))
}
