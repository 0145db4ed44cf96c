// SPDX-License-Identifier: GPL-2.0

//! do_mmap(): MAP_NORESERVE and commit accounting.

use crate::context::{Context, P};
use crate::hugepool::{HugePool, HUGE};
use crate::outcome::{Result, Stop};
use crate::sysctl::Sysctl;
use crate::view::{check_flags, resident};
use crate::{cases, check, check_eq};
use rmmap_procfs::process::meminfo;
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::MapOptions;

cases! {
    Each noreserve_is_honoured ["DM-46"] "private MAP_NORESERVE, overcommit_memory 0 and 1: `nr`, no `ac`, Committed_AS stays";
    Rmmap noreserve_against_the_rule ["DM-46"] "private MAP_NORESERVE, overcommit_memory 2: no `nr`, `ac`, Committed_AS grows";
    Rmmap noreserve_of_huge_pages ["DM-47"] "hugetlb with MAP_NORESERVE, overcommit_memory 0 and 2: `nr`, nothing of the pool is reserved";
}

/// The size of these private mappings, in pages: more than all other tasks commit meanwhile.
const PAGES: usize = (64 << 20) / P;

/// The tolerance for `Committed_AS`: a per-CPU counter that other tasks also change.
const SLACK_KB: u64 = 16 << 10;

fn committed_kb() -> Result<u64> {
    let value = meminfo()?.get("Committed_AS");
    value.ok_or_else(|| Stop::fail("/proc/meminfo has no Committed_AS"))
}

/// Returns how much a mapping adds to the committed memory, kB.
fn promised_kb(map: impl FnOnce() -> Result<rmmap_sys::Mapping>) -> Result<i64> {
    let before = committed_kb()? as i64;
    let m = map()?;
    let after = committed_kb()? as i64;
    check_eq!(resident(&m)?, 0);
    Ok(after - before)
}

/// Maps with and without `MAP_NORESERVE`, and returns how much each adds to the committed memory.
fn promises(options: MapOptions, fd: &impl std::os::fd::AsFd, kept: bool) -> Result<[i64; 2]> {
    let plain = promised_kb(|| {
        let m = options.map(fd)?;
        check_flags(&m, &["ac"], &["nr"])?;
        Ok(m)
    })?;
    let noreserve = promised_kb(|| {
        let m = options.flags(MapFlags::NORESERVE).map(fd)?;
        match kept {
            true => check_flags(&m, &["nr"], &["ac"])?,
            false => check_flags(&m, &["ac"], &["nr"])?,
        }
        Ok(m)
    })?;
    Ok([plain, noreserve])
}

/// Checks that the committed memory grew by the mapping's size, or not at all.
fn check_promise(what: &str, got: i64, wanted: usize) -> Result {
    let wanted = (wanted * P / 1024) as i64;
    check!(
        got.abs_diff(wanted) < SLACK_KB,
        "{what}: Committed_AS grew by {got} kB, expected {wanted}"
    );
    Ok(())
}

fn noreserve_is_honoured(cx: &Context) -> Result {
    let pages = PAGES.min(match cx.kind {
        // The device's own region is smaller.
        crate::area::Kind::Device => (32 << 20) / P,
        _ => PAGES,
    });
    let area = cx.area(pages)?;
    let overcommit = Sysctl::set("vm/overcommit_memory", 0)?;
    for mode in [0, 1] {
        overcommit.change(mode)?;
        let [plain, noreserve] = promises(area.whole().private(), &area, true)?;
        check_promise("without the flag", plain, pages)?;
        check_promise("with MAP_NORESERVE", noreserve, 0)?;
    }
    // Shared and read-only mappings are never accounted.
    for options in [area.whole(), area.whole().private().read_only()] {
        let m = options.flags(MapFlags::NORESERVE).map(&area)?;
        check_flags(&m, &["nr"], &["ac"])?;
    }
    Ok(())
}

/// Skips the test on a system that could not run with strict overcommit.
fn needs_room() -> Result {
    let (limit, used) = (meminfo()?.get("CommitLimit"), committed_kb()?);
    let left = limit.unwrap_or(0).saturating_sub(used);
    match left < 256 << 10 {
        true => Err(Stop::skip(format_args!(
            "needs 256 MiB below CommitLimit, this system has {} MiB",
            left >> 10
        ))),
        false => Ok(()),
    }
}

fn noreserve_against_the_rule(cx: &Context) -> Result {
    let region = cx.region(PAGES)?;
    needs_room()?;
    let overcommit = Sysctl::set("vm/overcommit_memory", 2)?;
    let whole = MapOptions::new(PAGES * P);
    let answer = promises(whole.private(), &region, false);
    let shared = whole.flags(MapFlags::NORESERVE).map(&region)?;
    check_flags(&shared, &[], &["nr", "ac"])?;
    drop(overcommit);
    let [plain, noreserve] = answer?;
    check_promise("without the flag", plain, PAGES)?;
    check_promise("with MAP_NORESERVE", noreserve, PAGES)
}

fn noreserve_of_huge_pages(_: &Context) -> Result {
    let pool = HugePool::new(4)?;
    needs_room()?;
    let overcommit = Sysctl::set("vm/overcommit_memory", 0)?;
    let whole = MapOptions::new(2 * HUGE);
    for mode in [0, 2] {
        overcommit.change(mode)?;
        for options in [whole, whole.private()] {
            let file = pool.file(2 * HUGE)?;
            let m = options.flags(MapFlags::NORESERVE).map(&file)?;
            check_flags(&m, &["ht", "nr"], &["ac"])?;
            check_eq!(HugePool::count("Rsvd")?, 0, "reserved, mode {mode}");
            check_eq!(HugePool::count("Free")?, 4, "free, mode {mode}");
            let plain = options.map(&file)?;
            check_flags(&plain, &["ht"], &["nr"])?;
            check_eq!(
                HugePool::count("Rsvd")?,
                2,
                "reserved without the flag, mode {mode}"
            );
        }
        check_eq!(
            HugePool::count("Rsvd")?,
            0,
            "reserved when all is closed, mode {mode}"
        );
    }
    Ok(())
}
