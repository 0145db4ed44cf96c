// SPDX-License-Identifier: GPL-2.0

//! do_mmap(): the limit of locked memory.

use crate::area::Area;
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::rlimit::Limit;
use crate::view::{check_flags, kb, locked_kb, resident, smap_at, vma_pages};
use crate::{cases, check_counts, check_eq, check_err};
use rmmap_sys::process::drop_capabilities;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::{mlockall, munlockall, MapFlags, MlockAllFlags};
use rmmap_sys::rustix::process::Resource;
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{Errno, MapOptions, Mapping};

cases! {
    Each locking_takes_permission ["DM-20"] "RLIMIT_MEMLOCK 0: MAP_LOCKED needs CAP_IPC_LOCK, else EPERM; MAP_POPULATE does not";
    Each locking_has_a_limit ["DM-21"] "RLIMIT_MEMLOCK without CAP_IPC_LOCK: EAGAIN beyond it, including pages locked before, and before EACCES";
    Each replaced_pages_count_as_locked ["DM-21"] "MAP_LOCKED over locked pages: they still count, EAGAIN, and they stay";
    Each future_locks_have_the_limit ["DM-22"] "mlockall(MCL_FUTURE): a plain mapping beyond RLIMIT_MEMLOCK is EAGAIN, also when that is 0";
}

/// `RLIMIT_MEMLOCK` of these tests, pages.
const LIMIT: usize = 16;

/// Sets `RLIMIT_MEMLOCK` until the return value is dropped.
fn limit(pages: usize) -> Result<Limit> {
    Limit::set(Resource::Memlock, (pages * P) as u64)
}

fn locked(area: &Area, pages: usize) -> rmmap_sys::Result<Mapping> {
    area.part(0, pages).flags(MapFlags::LOCKED).map(area)
}

fn locking_takes_permission(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let _limit = limit(0)?;
    if cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK").is_ok() {
        let m = locked(&area, 8)?;
        check_flags(&m, &["lo"], &[])?;
        check_eq!(
            (resident(&m)?, locked_kb()?),
            (8, kb(8)),
            "with CAP_IPC_LOCK"
        );
        drop(m);
        drop_capabilities(CapabilitySet::IPC_LOCK)?;
    }
    let count = area.count()?;
    check_err!(locked(&area, 1), Errno::PERM);
    // The kernel checks this before the limit, and before the access mode of the object.
    check_err!(locked(&area, 8), Errno::PERM);
    let reader = area.reopen(OFlags::RDONLY)?;
    check_err!(
        area.whole().flags(MapFlags::LOCKED).map(&reader),
        Errno::PERM
    );
    let anonymous = MapOptions::new(P).private().flags(MapFlags::LOCKED);
    check_err!(anonymous.map_anonymous(), Errno::PERM);
    check_counts!(count, mmap: 0);
    check_eq!(locked_kb()?, 0);
    let populated = area.whole().flags(MapFlags::POPULATE).map(&area)?;
    check_flags(&populated, &[], &["lo"])?;
    check_eq!((resident(&populated)?, locked_kb()?), (8, 0));
    Ok(())
}

fn locking_has_a_limit(cx: &Context) -> Result {
    let area = cx.area(2 * LIMIT)?;
    let _limit = limit(LIMIT)?;
    drop_capabilities(CapabilitySet::IPC_LOCK)?;
    let count = area.count()?;
    check_err!(locked(&area, LIMIT + 1), Errno::AGAIN);
    let reader = area.reopen(OFlags::RDONLY)?;
    let unwritable = area.part(0, LIMIT + 1).flags(MapFlags::LOCKED);
    check_err!(
        unwritable.map(&reader),
        Errno::AGAIN,
        "too much of a read-only object"
    );
    let less = area.part(0, LIMIT).flags(MapFlags::LOCKED);
    check_err!(less.map(&reader), Errno::ACCESS, "within the limit");
    check_counts!(count, mmap: 0);
    check_eq!((locked_kb()?, area.held_pages()?), (0, 0));

    let all = locked(&area, LIMIT)?;
    check_eq!((resident(&all)?, locked_kb()?), (LIMIT, kb(LIMIT)));
    check_err!(locked(&area, 1), Errno::AGAIN);
    drop(all);
    let half = locked(&area, LIMIT / 2)?;
    check_err!(locked(&area, LIMIT / 2 + 1), Errno::AGAIN);
    check_eq!(locked_kb()?, kb(LIMIT / 2));
    let rest = locked(&area, LIMIT / 2)?;
    check_eq!(locked_kb()?, kb(LIMIT), "VmLck with two halves");
    drop((half, rest));
    Ok(())
}

fn replaced_pages_count_as_locked(cx: &Context) -> Result {
    let area = cx.area(LIMIT)?;
    let _limit = limit(LIMIT)?;
    drop_capabilities(CapabilitySet::IPC_LOCK)?;
    let mut window = cx.window(LIMIT)?;
    let old = area.part(0, LIMIT / 2).flags(MapFlags::LOCKED);
    window.map_over(0, &old, Some(&area))?;
    window.touch_write(3, 0x33)?;
    let all = area.whole().private().flags(MapFlags::LOCKED);
    check_err!(window.map_over(0, &all, Some(&area)), Errno::AGAIN);
    check_eq!(vma_pages(&window)?, [(0, LIMIT / 2)]);
    check_flags(&window, &["lo", "sh"], &[])?;
    check_eq!(smap_at(&window, 0)?.kb("Locked"), kb(LIMIT / 2));
    check_eq!((locked_kb()?, window.touch_read(3)?), (kb(LIMIT / 2), 0x33));
    // A mapping within the free limit may replace it.
    window.map_over(0, &old.private(), Some(&area))?;
    check_eq!(smap_at(&window, 0)?.map.perms, "rw-p");
    check_eq!(locked_kb()?, kb(LIMIT / 2));
    Ok(())
}

fn future_locks_have_the_limit(cx: &Context) -> Result {
    let area = cx.single_pages(2 * LIMIT)?;
    let _limit = limit(LIMIT)?;
    drop_capabilities(CapabilitySet::IPC_LOCK)?;
    mlockall(MlockAllFlags::FUTURE)?;
    let count = area.count()?;
    let too_much = area.part(0, LIMIT + 1).map(&area);
    let anonymous = MapOptions::new((LIMIT + 1) * P).private().map_anonymous();
    let as_much = area.part(0, LIMIT).map(&area);
    let none = limit(0)?;
    let one = area.part(0, 1).map(&area);
    // EPERM is only for MAP_LOCKED itself.
    let asked = locked(&area, 1);
    // The lines below may need memory, too.
    munlockall()?;
    drop(none);
    check_err!(too_much, Errno::AGAIN);
    check_err!(anonymous, Errno::AGAIN);
    check_eq!(resident(&as_much?)?, LIMIT);
    check_err!(one, Errno::AGAIN);
    check_err!(asked, Errno::PERM);
    check_counts!(count, mmap: 1, fault_read: LIMIT as u64, fault_populate: LIMIT as u64,
        answer_new: LIMIT as u64);
    // The refused mapping has one page, not zero: without the lock it succeeds.
    check_eq!(area.part(0, 1).map(&area)?.pages(), 1);
    Ok(())
}
