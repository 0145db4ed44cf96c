// SPDX-License-Identifier: GPL-2.0

//! The quota of all regions together (module parameter `max_bytes`).

use crate::area::{Area, Kind, Pinned};
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{check_flags, resident};
use crate::{cases, check, check_counts, check_eq, check_err, check_sigbus};
use rmmap_sys::rustix::fs::{fallocate, ftruncate, FallocateFlags};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::rustix::mm::{Advice, MapFlags};
use rmmap_sys::{Errno, MapOptions};

cases! {
    Reload quota_is_sigbus_on_touch [] "the first page beyond the quota: SIGBUS for a touch, which succeeds once memory is freed";
    Reload quota_is_enomem_on_populate [] "MADV_POPULATE ENOMEM, mlock EAGAIN; MAP_POPULATE and MAP_LOCKED succeed partly";
    Reload quota_is_enomem_on_write [] "write(2) beyond the quota: a short write, then ENOMEM";
    Reload quota_is_given_back [] "discard, punch, truncate and the end of a region make room";
    Reload quota_does_not_count_copies [] "private copies of holes use none of the quota";
    Reload quota_limits_size [] "CREATE of more than the quota ENOMEM, ftruncate to more EFBIG; sparse regions overcommit";
    Reload quota_counts_all_regions_and_device [] "the device's own region and all others draw on the same quota";
}

/// The quota, in pages.
const PAGES: usize = 16;

/// The size of the device's own region, bytes: more than the quota.
const CAPACITY: usize = 256 * P;

/// Reloads the module with a small quota, and returns a region of the size of the quota and a
/// mapping of it.
fn small(cx: &Context) -> Result<(Area, rmmap_sys::Mapping)> {
    let quota = format!("max_bytes={}", PAGES * P);
    let capacity = format!("capacity={CAPACITY}");
    cx.loader()?.reload_with(&[&quota, &capacity])?;
    let info = cx.device()?.info()?;
    check_eq!(
        (info.max_bytes, info.capacity, info.used_bytes),
        ((PAGES * P) as u64, CAPACITY as u64, 0)
    );
    // The tests count pages up to the last one of the quota.
    let area = Area::of_single_pages(Kind::Region, PAGES)?;
    let m = area.map()?;
    Ok((area, m))
}

/// Uses the quota up to the last `left` pages.
fn take(m: &rmmap_sys::Mapping, left: usize) -> Result {
    Ok((0..PAGES - left).try_for_each(|page| m.touch_write(page, 1))?)
}

fn quota_is_sigbus_on_touch(cx: &Context) -> Result {
    let (area, m) = small(cx)?;
    take(&m, 0)?;
    let other = Area::new(Kind::Region, 4)?;
    let (om, count) = (other.map()?, other.count()?);
    check_sigbus!(om.touch_read(1), om.address_of(P));
    check_sigbus!(om.touch_write(2, 1), om.address_of(2 * P));
    check_counts!(count, fault_read: 1, fault_write: 1, answer_sigbus: 2, folios: 0);
    // Present pages can be mapped and written.
    let again = area.map()?;
    check_eq!(again.touch_read(PAGES - 1)?, 1);
    area.discard(3, 1)?;
    om.touch_write(2, 2)?;
    check_sigbus!(om.touch_read(1), om.address_of(P));
    check_sigbus!(m.touch_read(3), m.address_of(3 * P));
    check_eq!(
        (
            other.held_pages()?,
            cx.device()?.info()?.used_bytes as usize
        ),
        (1, PAGES * P)
    );
    Ok(())
}

fn quota_is_enomem_on_populate(cx: &Context) -> Result {
    let (area, m) = small(cx)?;
    take(&m, 4)?;
    let other = Area::of_single_pages(Kind::Region, 8)?;
    let om = other.map()?;
    for advice in [Advice::LinuxPopulateRead, Advice::LinuxPopulateWrite] {
        let count = other.count()?;
        check_err!(om.advise(0, om.len(), advice), Errno::NOMEM, "{advice:?}");
        // The kernel faults again on the page at which the batch stopped.
        check!(
            count.get("answer_oom")? > Some(0),
            "{advice:?} failed without VM_FAULT_OOM"
        );
        check_eq!(other.held_pages()?, 4, "pages added by {advice:?}");
        other.discard(0, 8)?;
    }
    check_err!(om.lock(0, om.len()), Errno::AGAIN);
    check_flags(&om, &["lo"], &[])?;
    check_eq!(other.held_pages()?, 4);
    om.unlock(0, om.len())?;
    other.discard(0, 8)?;
    for flags in [MapFlags::POPULATE, MapFlags::LOCKED] {
        let count = other.count()?;
        let m = other.whole().flags(flags).map(&other)?;
        check_eq!(
            (resident(&m)?, other.held_pages()?),
            (4, 4),
            "pages added by {flags:?}"
        );
        check!(
            count.get("answer_oom")? > Some(0),
            "{flags:?} ended without VM_FAULT_OOM"
        );
        check_sigbus!(m.touch_read(4), m.address_of(4 * P));
        other.discard(0, 8)?;
    }
    check_eq!(area.held_pages()?, PAGES - 4);
    Ok(())
}

fn quota_is_enomem_on_write(cx: &Context) -> Result {
    let (area, m) = small(cx)?;
    take(&m, 3)?;
    let other = Area::of_single_pages(Kind::Region, 8)?;
    check_eq!(
        pwrite(&other, &[1; 8 * P], 0)?,
        3 * P,
        "a write of more than is left"
    );
    check_err!(pwrite(&other, &[1; 100], 3 * P as u64), Errno::NOMEM);
    // Over present and missing pages.
    check_eq!(pwrite(&other, &[2; 3 * P], P as u64 + 100)?, 2 * P - 100);
    check_eq!(other.read(3 * P - 1, 3)?, [2, 0, 0]);
    check_err!(pwrite(cx.device()?, &[1], 0), Errno::NOMEM);
    check_eq!((area.held_pages()?, other.held_pages()?), (PAGES - 3, 3));
    Ok(())
}

fn quota_is_given_back(cx: &Context) -> Result {
    let (area, m) = small(cx)?;
    let device = cx.device()?;
    let used = |what: &str, pages: usize| -> Result {
        check_eq!(
            device.info()?.used_bytes as usize / P,
            pages,
            "pages of the quota in use {what}"
        );
        Ok(())
    };
    take(&m, 0)?;
    used("when all are taken", PAGES)?;
    area.discard(0, 4)?;
    used("after a discard", PAGES - 4)?;
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(&area, punch, 4 * P as u64, 2 * P as u64)?;
    used("after a punch", PAGES - 6)?;
    m.advise(6 * P, P, Advice::LinuxRemove)?;
    used("after MADV_REMOVE", PAGES - 7)?;
    ftruncate(&area, 10 * P as u64)?;
    used("after a truncation", 3)?;
    ftruncate(&area, (PAGES * P) as u64)?;
    take(&m, 0)?;
    used("when all are taken again", PAGES)?;
    drop(area);
    used("while the mapping is there", PAGES)?;
    drop(m);
    used("when the region is freed", 0)?;
    let other = Area::new(Kind::Region, PAGES)?;
    take(&other.map()?, 0)
}

fn quota_does_not_count_copies(cx: &Context) -> Result {
    let (_area, m) = small(cx)?;
    take(&m, 0)?;
    let other = Area::new(Kind::Region, PAGES)?;
    let count = other.count()?;
    let private = other
        .whole()
        .private()
        .flags(MapFlags::POPULATE)
        .map(&other)?;
    let n = PAGES as u64;
    check_counts!(count, fault_cow: n, fault_populate: n, answer_zero: n, folios: 0);
    check_eq!((resident(&private)?, other.held_pages()?), (PAGES, 0));
    // A read of a hole, however, adds the object's page.
    let reader = other.whole().private().map(&other)?;
    check_sigbus!(reader.touch_read(0), reader.address());
    reader.touch_write(0, 1)?;
    Ok(())
}

fn quota_limits_size(cx: &Context) -> Result {
    let (area, _m) = small(cx)?;
    let _pinned = Pinned::single_pages()?;
    let device = cx.device()?;
    let max = (PAGES * P) as u64;
    check_err!(device.create(max + 1, 0), Errno::NOMEM);
    check_err!(ftruncate(&area, max + 1), Errno::FBIG);
    check_err!(pwrite(&area, &[1], max), Errno::FBIG);
    check_eq!(area.fd().info()?.size, max);
    let sparse = [device.create(max, 0)?, device.create(max, 0)?];
    for region in &sparse {
        MapOptions::new(PAGES * P)
            .map(region)?
            .touch_write(PAGES - 1, 1)?;
    }
    check_eq!(device.info()?.used_bytes, 2 * P as u64);
    Ok(())
}

fn quota_counts_all_regions_and_device(cx: &Context) -> Result {
    let (area, m) = small(cx)?;
    let _pinned = Pinned::single_pages()?;
    let device = cx.device()?;
    let dm = MapOptions::new(CAPACITY).map(&device)?;
    take(&m, 8)?;
    for page in 0..8 {
        dm.touch_write(page * 7, 1)?;
    }
    check_sigbus!(dm.touch_write(100, 1), dm.address_of(100 * P));
    check_sigbus!(m.touch_write(PAGES - 1, 1), m.address_of((PAGES - 1) * P));
    device.discard(0, CAPACITY as u64)?;
    take(&m, 0)?;
    check_eq!((area.held_pages()?, device.info()?.resident), (PAGES, 0));
    Ok(())
}
