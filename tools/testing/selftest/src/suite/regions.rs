// SPDX-License-Identifier: GPL-2.0

//! The cost of empty regions, the limit of their number, and the privilege to change the device's
//! policy.

use crate::apart::in_child;
use crate::cgroup::{in_cgroup, Cgroup};
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::race::race;
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::fs::Uid;
use rmmap_sys::rustix::process::{setrlimit, Resource, Rlimit};
use rmmap_sys::rustix::thread::{set_thread_res_uid, CapabilitySet};
use rmmap_sys::uapi::{RMMAP_POLICY_ALWAYS, RMMAP_POLICY_NEVER};
use rmmap_sys::{Device, Errno, MapOptions};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

cases! {
    Rmmap regions_are_charged [] "the kernel memory of empty regions is charged to the cgroup, per-CPU counters included";
    Reload regions_are_limited [] "CREATE beyond max_regions is ENFILE; freeing a region makes room";
    Reload regions_limit_holds_in_a_race [] "threads that create and close regions at the limit: never more, never fewer";
    Rmmap regions_policy_of_all_is_for_admins [] "the device's policy needs CAP_SYS_ADMIN, a region's own does not";
}

/// Regions whose cost is measured.
const COSTS: usize = 256;

/// The limit of the tests that set one.
const LIMIT: usize = 8;

fn regions_are_charged(cx: &Context) -> Result {
    let group = Cgroup::new(64 << 20)?;
    let device = cx.device()?;
    let failed = in_cgroup(&group, || {
        let many = Rlimit {
            current: Some(4096),
            maximum: Some(4096),
        };
        setrlimit(Resource::Nofile, many)?;
        let before = group.number("memory.stat", "percpu")?;
        let regions: Vec<_> = (0..COSTS)
            .map(|_| device.create(0, 0))
            .collect::<rmmap_sys::Result<_>>()?;
        // Counters become per-CPU with the first mapping of more than 16 pages.
        let mapped: Vec<_> = regions
            .iter()
            .map(|region| MapOptions::new(17 * P).map(region))
            .collect::<rmmap_sys::Result<_>>()?;
        let percpu = group.number("memory.stat", "percpu")? - before;
        drop((mapped, regions));
        // A region has at least two counters per CPU.
        let least = (COSTS * 16) as u64;
        check!(
            percpu >= least,
            "{COSTS} regions: {percpu} bytes of per-CPU memory are charged"
        );
        Ok(())
    })?;
    check_eq!(failed, None);
    Ok(())
}

fn limited(cx: &Context) -> Result<Device> {
    let limit = format!("max_regions={LIMIT}");
    cx.loader()?.reload_with(&[&limit])?;
    cx.device()
}

fn regions_are_limited(cx: &Context) -> Result {
    let device = limited(cx)?;
    let create = || device.create(0, 0);
    let mut regions: Vec<_> = (0..LIMIT)
        .map(|_| create())
        .collect::<rmmap_sys::Result<_>>()?;
    check_err!(create(), Errno::NFILE);
    // The device's own region does not count.
    check_eq!(device.info()?.regions as usize, LIMIT + 1);
    regions.pop();
    regions.push(create()?);
    check_err!(create(), Errno::NFILE);
    drop(regions);
    check_eq!(device.info()?.regions, 1);
    Ok(())
}

fn regions_limit_holds_in_a_race(cx: &Context) -> Result {
    let device = limited(cx)?;
    let _held: Vec<_> = (0..LIMIT - 2)
        .map(|_| device.create(0, 0))
        .collect::<rmmap_sys::Result<_>>()?;
    let (made, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = |_: usize, stop: &AtomicBool| -> Result {
        while !stop.load(Ordering::Relaxed) {
            match device.create(0, 0) {
                Ok(_) => made.fetch_add(1, Ordering::Relaxed),
                Err(Errno::NFILE) => refused.fetch_add(1, Ordering::Relaxed),
                Err(e) => return Err(e.into()),
            };
        }
        Ok(())
    };
    let look = || {
        let regions = device.info()?.regions as usize;
        check!(
            regions <= LIMIT + 1,
            "{regions} regions, the limit is {LIMIT}"
        );
        Ok(())
    };
    let met = || made.load(Ordering::Relaxed) > 0 && refused.load(Ordering::Relaxed) > 0;
    race(cx, 4, work, look, met)?;
    // The count is right: two more fit, and a third does not.
    let _two = [device.create(0, 0)?, device.create(0, 0)?];
    check_err!(device.create(0, 0), Errno::NFILE);
    Ok(())
}

fn regions_policy_of_all_is_for_admins(cx: &Context) -> Result {
    cx.needs(CapabilitySet::SETUID, "CAP_SETUID")?;
    let device = cx.device()?;
    let region = device.create(0, 0)?;
    let was = device.info()?.policy;
    let other = match was {
        RMMAP_POLICY_NEVER => RMMAP_POLICY_ALWAYS,
        _ => RMMAP_POLICY_NEVER,
    };
    // Both descriptors are already open for writing, like those received from another process.
    in_child(|| {
        let nobody = Uid::from_raw(65534);
        set_thread_res_uid(nobody, nobody, nobody)?;
        check_err!(device.set_policy(other), Errno::PERM);
        // Other errors are reported first.
        check_err!(device.set_policy(3), Errno::INVAL);
        region.set_policy(other)?;
        let own = device.create(0, 0)?;
        own.set_policy(other)?;
        check_eq!(own.info()?.policy, other);
        Ok(())
    })?;
    check_eq!((device.info()?.policy, region.info()?.policy), (was, other));
    in_child(|| {
        rmmap_sys::process::drop_capabilities(CapabilitySet::SYS_ADMIN)?;
        check_err!(device.set_policy(other), Errno::PERM);
        Ok(())
    })?;
    if device.info()?.policy != was {
        return Err(Stop::fail("the device's policy was changed"));
    }
    Ok(())
}
