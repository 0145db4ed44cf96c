// SPDX-License-Identifier: GPL-2.0

//! fallocate(2) on a file of memory, and the ioctl ALLOCATE, which does the same on the device.

use crate::area::{Area, Kind};
use crate::cgroup::{in_cgroup, Cgroup};
use crate::context::{has_large_folios, Context, P, PMD_ORDER};
use crate::counting::stats;
use crate::outcome::{Result, Stop};
use crate::race::race;
use crate::rlimit::Limit;
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::fs::{fallocate, fstat, ftruncate, FallocateFlags, OFlags};
use rmmap_sys::rustix::process::{Resource, Signal};
use rmmap_sys::uapi::{RMMAP_CREATE_ALWAYS, RMMAP_CREATE_NEVER};
use rmmap_sys::{fork, Device, End, Errno};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

cases! {
    File fallocate_fills_holes [] "fallocate adds the pages that a range lacks, leaves others alone, and grows the file";
    File fallocate_keeps_size [] "FALLOC_FL_KEEP_SIZE past EOF: the file finds these pages when it grows, and truncation frees them";
    Rmmap fallocate_shows_no_store_past_eof [] "bytes that a mapping stored past EOF are zero when fallocate grows the file";
    File fallocate_refuses_bad_ranges [] "fallocate: length 0 EINVAL, read-only EBADF, past the largest file or RLIMIT_FSIZE EFBIG";
    Each allocate_fills_holes [] "ALLOCATE, or fallocate on memfd: the pages of a range, within the size";
    Each allocate_begins_in_a_large_folio [] "ALLOCATE of a range that begins in the middle of a large folio: the pages after the folio are added";
    Rmmap allocate_refuses_bad_ranges [] "ALLOCATE: unaligned, empty, overflowing or past the end EINVAL, read-only EBADF";
    Rmmap allocate_follows_policy [] "ALLOCATE and fallocate add the largest folios that fit, with policy never single pages";
    Reload fallocate_is_undone [] "fallocate beyond the quota: ENOSPC, and pages, size and quota are as before";
    Reload fallocate_undoes_no_store [] "stores of a thread while fallocate fails stay", 60;
    Rmmap fallocate_is_undone_in_cgroup [] "fallocate beyond the cgroup's limit: ENOMEM, and no page stays";
    File fallocate_ends_with_its_process [] "a process that is killed in fallocate ends, and the pages that it added are freed", 60;
}

const KEEP: FallocateFlags = FallocateFlags::KEEP_SIZE;
const GROW: FallocateFlags = FallocateFlags::empty();

fn size(area: &Area) -> Result<usize> {
    Ok(fstat(area)?.st_size as usize)
}

fn pages(page: usize, pages: usize) -> (u64, u64) {
    ((page * P) as u64, (pages * P) as u64)
}

/// Calls fallocate(2) for whole pages.
fn alloc(area: &Area, mode: FallocateFlags, at: usize, count: usize) -> rmmap_sys::Result<()> {
    let (offset, len) = pages(at, count);
    fallocate(area, mode, offset, len)
}

#[track_caller]
fn check_zero(area: &Area, at: usize, count: usize) -> Result {
    let bytes = area.read(at * P, count * P)?;
    check!(bytes.iter().all(|b| *b == 0), "a byte that is not zero");
    Ok(())
}

fn fallocate_fills_holes(cx: &Context) -> Result {
    let area = cx.single_pages(8)?;
    area.write(2 * P, &[7; P])?;
    alloc(&area, GROW, 1, 4)?;
    check_eq!((area.held_pages()?, size(&area)?), (4, 8 * P));
    check_eq!(area.read(2 * P, P)?, vec![7; P]);
    check_zero(&area, 1, 1)?;
    check_zero(&area, 3, 2)?;
    let m = area.map()?;
    m.touch_write(4, 9)?;
    check_eq!(area.held_pages()?, 4, "a touch of a page that is present");
    // The same range again, then parts of pages.
    alloc(&area, GROW, 1, 4)?;
    fallocate(&area, GROW, 5 * P as u64 + 1, 1)?;
    fallocate(&area, GROW, 6 * P as u64 - 1, 2)?;
    check_eq!(area.held_pages()?, 6);
    check_eq!(m.touch_read(4)?, 9);
    // The file grows to the last byte of the range, also across the old EOF.
    fallocate(&area, GROW, 7 * P as u64, 5 * P as u64 + 10)?;
    check_eq!((area.held_pages()?, size(&area)?), (12, 12 * P + 10));
    check_zero(&area, 7, 5)?;
    // An empty file grows in one call.
    let other = cx.area(0)?;
    alloc(&other, GROW, 0, 1024)?;
    check_eq!((other.held_pages()?, size(&other)?), (1024, 1024 * P));
    check_zero(&other, 0, 1024)?;
    ftruncate(&other, 3)?;
    check_eq!(other.held_pages()?, 1);
    Ok(())
}

fn fallocate_keeps_size(cx: &Context) -> Result {
    let area = cx.area(4)?;
    alloc(&area, KEEP, 0, 2)?;
    check_eq!((area.held_pages()?, size(&area)?), (2, 4 * P));
    alloc(&area, KEEP, 6, 40)?;
    check_eq!((area.held_pages()?, size(&area)?), (42, 4 * P));
    ftruncate(&area, (16 * P) as u64)?;
    check_eq!((area.held_pages()?, size(&area)?), (42, 16 * P));
    check_zero(&area, 6, 10)?;
    // write(2) also finds pages past EOF.
    area.write(16 * P, &[5; P])?;
    check_eq!((area.held_pages()?, size(&area)?), (42, 17 * P));
    // Truncation to the current size frees pages past EOF.
    ftruncate(&area, (17 * P) as u64)?;
    check_eq!((area.held_pages()?, size(&area)?), (13, 17 * P));
    check_eq!(area.read(16 * P, P)?, vec![5; P]);
    alloc(&area, KEEP, 17, 8)?;
    fallocate(
        &area,
        KEEP | FallocateFlags::PUNCH_HOLE,
        20 * P as u64,
        P as u64,
    )?;
    check_eq!(area.held_pages()?, 20);
    // Closing the file frees the pages past EOF.
    Ok(())
}

fn fallocate_shows_no_store_past_eof(cx: &Context) -> Result {
    let area = cx.area(2)?;
    let m = area.map()?;
    ftruncate(&area, P as u64 + 5)?;
    m.write(P, &[0xff; P])?;
    fallocate(&area, GROW, P as u64, 2 * P as u64)?;
    let bytes = area.read(P, 2 * P)?;
    check!(bytes[..5].iter().all(|b| *b == 0xff));
    check!(bytes[5..].iter().all(|b| *b == 0), "a store past EOF shows");
    Ok(())
}

fn fallocate_refuses_bad_ranges(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let read_only = area.reopen(OFlags::RDONLY)?;
    let page = P as u64;
    for mode in [GROW, KEEP] {
        check_err!(fallocate(&area, mode, page, 0), Errno::INVAL);
        check_err!(fallocate(&read_only, mode, 0, page), Errno::BADF);
        check_err!(
            fallocate(&area, mode, i64::MAX as u64 - page + 1, page),
            Errno::FBIG
        );
        check_err!(fallocate(&area, mode, 1 << 63, page), Errno::INVAL);
    }
    // The kernel also sends SIGXFSZ: ignore it from here on.
    rmmap_sys::process::ignore(Signal::XFSZ)?;
    let limit = Limit::set(Resource::Fsize, 6 * page)?;
    let within = alloc(&area, GROW, 4, 2);
    let past = [GROW, KEEP].map(|mode| alloc(&area, mode, 5, 2));
    drop(limit);
    within?;
    for past in past {
        check_err!(past, Errno::FBIG);
    }
    check_eq!((area.held_pages()?, size(&area)?), (2, 6 * P));
    Ok(())
}

fn allocate_fills_holes(cx: &Context) -> Result {
    let area = cx.area(64)?;
    area.write(3 * P, &[7; 2])?;
    let (offset, len) = pages(2, 60);
    let held = area.held_pages()?;
    match area.is_rmmap() {
        true => area.fd().allocate(area.base() + offset, len)?,
        false => fallocate(&area, KEEP, offset, len)?,
    }
    check!(area.held_pages()? >= 60 && area.held_pages()? <= 60 + held);
    let m = area.map()?;
    let count = area.count()?;
    for page in 2..62 {
        check_eq!(m.touch_read(page)?, if page == 3 { 7 } else { 0 });
    }
    for found in [count.get("answer_new")?, count.get("answer_zero")?] {
        check!(
            matches!(found, None | Some(0)),
            "{found:?} pages were missing"
        );
    }
    Ok(())
}

fn allocate_begins_in_a_large_folio(cx: &Context) -> Result {
    let area = cx.large_folios(64)?;
    area.write(0, &[1; 8 * P])?;
    area.discard(8, 56)?;
    let before = area.held_pages()?;
    for (page, count, added) in [(3, 20, 15), (5, 30, 27), (1, 63, 56)] {
        area.allocate(page, count)?;
        let held = area.held_pages()?;
        check_eq!(held, before + added, "{count} pages from page {page} on");
    }
    Ok(())
}

fn allocate_refuses_bad_ranges(_: &Context) -> Result {
    let page = P as u64;
    for area in [Area::new(Kind::Device, 4)?, Area::new(Kind::Region, 4)?] {
        let size = area.fd().info()?.size;
        let base = area.base();
        let bad = [
            (base + 1, page),
            (base, page + 1),
            (base, 0),
            (size, 0),
            (base, size - base + page),
            (size, page),
            (page, u64::MAX - page + 1),
            (u64::MAX - page + 1, page),
            (2 * page, u64::MAX - page + 1),
        ];
        for (offset, len) in bad {
            let call = area.fd().allocate(offset, len);
            check_err!(call, Errno::INVAL, "ALLOCATE of {len:#x} at {offset:#x}");
        }
        let read_only = area.reopen(OFlags::RDONLY)?;
        check_err!(read_only.allocate(base, page), Errno::BADF);
        check_eq!(area.held_pages()?, 0);
        area.fd().allocate(base, page)?;
        check_eq!(area.held_pages()?, 1);
    }
    // The last page, only a part of which lies before EOF.
    let region = Device::open()?.create(P as u64 + 1, 0)?;
    region.allocate(page, page)?;
    check_eq!(
        (region.info()?.resident, region.info()?.size),
        (page, page + 1)
    );
    check_err!(region.allocate(page, 2 * page), Errno::INVAL);
    Ok(())
}

fn allocate_follows_policy(cx: &Context) -> Result {
    const PAGES: usize = 2 << PMD_ORDER;
    let (offset, len) = pages(0, PAGES);
    type Call = fn(&Device, u64, u64) -> rmmap_sys::Result<()>;
    let calls: [(Call, usize); 3] = [
        (|fd, offset, len| fd.allocate(offset, len), PAGES),
        (|fd, offset, len| fallocate(fd, KEEP, offset, len), PAGES),
        (|fd, offset, len| fallocate(fd, GROW, offset, len), 0),
    ];
    for (call, size) in calls {
        for flags in [RMMAP_CREATE_NEVER, RMMAP_CREATE_ALWAYS] {
            let region = cx.device()?.create((size * P) as u64, flags)?;
            call(&region, offset, len)?;
            check_eq!(region.info()?.resident, len);
            let counters = stats(&region)?.region;
            let single = counters.folios[0];
            match flags {
                RMMAP_CREATE_ALWAYS if has_large_folios() => check!(
                    counters.folios[PMD_ORDER] == 2 || counters.order_fallback > 0,
                    "folios by order: {:?}",
                    counters.folios
                ),
                _ => check_eq!(single, PAGES as u64),
            }
        }
    }
    // No large folio may lie past EOF.
    let region = cx.device()?.create(0, RMMAP_CREATE_ALWAYS)?;
    fallocate(&region, KEEP, offset, len)?;
    check_eq!(stats(&region)?.region.folios[0], PAGES as u64);
    Ok(())
}

/// The quota of the tests that set one, in pages.
const QUOTA: usize = 64;

fn small(cx: &Context) -> Result {
    let quota = format!("max_bytes={}", QUOTA * P);
    Ok(cx.loader()?.reload_with(&[&quota, "capacity=1048576"])?)
}

fn fallocate_is_undone(cx: &Context) -> Result {
    small(cx)?;
    let device = cx.device()?;
    let _other = {
        let other = device.create((QUOTA / 2 * P) as u64, 0)?;
        other.allocate(0, (QUOTA / 2 * P) as u64)?;
        other
    };
    for flags in [RMMAP_CREATE_NEVER, RMMAP_CREATE_ALWAYS] {
        // Another region holds half of the quota; this one holds two pages.
        let region = device.create((4 * P) as u64, RMMAP_CREATE_NEVER)?;
        let m = rmmap_sys::MapOptions::new(4 * P).map(&region)?;
        m.touch_write(1, 1)?;
        m.touch_write(2, 2)?;
        let policy = match flags {
            RMMAP_CREATE_NEVER => 0,
            _ => 2,
        };
        region.set_policy(policy)?;
        let used = device.info()?.used_bytes;
        let state = || -> Result<_> {
            let info = region.info()?;
            Ok((info.resident as usize / P, info.size as usize / P))
        };
        let all = ((QUOTA / 2 + 1) * P) as u64;
        for mode in [GROW, KEEP] {
            check_err!(fallocate(&region, mode, 0, all), Errno::NOSPC, "{mode:?}");
            check_eq!(state()?, (2, 4), "pages and size after {mode:?}");
            check_eq!(device.info()?.used_bytes, used, "after {mode:?}");
            // A range larger than the quota fails before the first page.
            let most = ((QUOTA + 1) * P) as u64;
            check_err!(fallocate(&region, mode, 0, most), Errno::NOSPC);
        }
        check_eq!((m.touch_read(1)?, m.touch_read(2)?), (1, 2));
        fallocate(&region, GROW, 0, all - P as u64)?;
        check_eq!(state()?, (QUOTA / 2, QUOTA / 2));
        check_err!(
            region.allocate(0, all - P as u64).and(fallocate(
                &region,
                GROW,
                all - P as u64,
                P as u64
            )),
            Errno::NOSPC
        );
        check_eq!(
            (m.touch_read(1)?, m.touch_read(2)?, m.touch_read(3)?),
            (1, 2, 0)
        );
    }
    Ok(())
}

fn fallocate_undoes_no_store(cx: &Context) -> Result {
    small(cx)?;
    let area = Area::new(Kind::Region, QUOTA)?;
    let _other = {
        let other = cx.device()?.create((2 * P) as u64, 0)?;
        other.allocate(0, (2 * P) as u64)?;
        other
    };
    let m = area.map()?;
    let (stored, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = |thread: usize, stop: &AtomicBool| -> Result {
        let mut value = 1u8;
        while !stop.load(Ordering::Relaxed) {
            for page in (thread..QUOTA).step_by(2) {
                // The quota may be exhausted at this moment.
                if m.touch_write(page, value).is_err() {
                    continue;
                }
                let found = m.touch_read(page)?;
                check_eq!(found, value, "page {page} after a store");
                stored.fetch_add(1, Ordering::Relaxed);
            }
            value = value.wrapping_add(1).max(1);
        }
        Ok(())
    };
    let change = || -> Result {
        match alloc(&area, KEEP, 0, QUOTA) {
            Err(Errno::NOSPC) => failed.fetch_add(1, Ordering::Relaxed),
            other => return Err(Stop::fail(format_args!("fallocate: {other:?}"))),
        };
        Ok(())
    };
    let enough = || stored.load(Ordering::Relaxed) > 1000 && failed.load(Ordering::Relaxed) > 100;
    race(cx, 2, work, change, enough)
}

fn fallocate_is_undone_in_cgroup(cx: &Context) -> Result {
    let group = Cgroup::new(16 << 20)?;
    let region = cx.region(16384)?;
    let all = 16384 * P as u64;
    let mut calls = Vec::new();
    let failed = in_cgroup(&group, || {
        for mode in [GROW, KEEP] {
            let call = fallocate(&region, mode, 0, all);
            if call != Err(Errno::NOMEM) {
                return Err(Stop::fail("not ENOMEM"));
            }
        }
        Ok(())
    })?;
    calls.push(failed);
    check_eq!(calls, [None]);
    check_eq!((region.info()?.resident, region.info()?.size), (0, all));
    Ok(())
}

fn fallocate_ends_with_its_process(cx: &Context) -> Result {
    const PAGES: usize = (128 << 20) / P;
    // Single pages make it take longer.
    let area = cx.single_pages(0)?;
    for round in 0..100u32 {
        let mut child = fork(|channel| {
            let told = channel.send_u64(1).is_ok();
            let done = told && alloc(&area, GROW, 0, PAGES).is_ok();
            i32::from(!done || channel.send_u64(2).is_err())
        })?;
        check_eq!(child.channel().receive_u64()?, 1);
        std::thread::sleep(std::time::Duration::from_micros(u64::from(round) * 500));
        // The process may already have ended.
        let _ = child.signal(Signal::KILL);
        let was_within = child.channel().receive_u64().is_err();
        let end = child.wait()?;
        let held = area.held_pages()?;
        let killed = matches!(end, End::Killed(_));
        check!(
            held == 0 || held == PAGES,
            "{held} of {PAGES} pages are left"
        );
        if killed && was_within && held == 0 && round > 0 {
            check_eq!(size(&area)?, 0);
            return Ok(());
        }
        ftruncate(&area, 0)?;
    }
    Err(Stop::fail("the child always ended before the signal"))
}
