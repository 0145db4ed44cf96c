// SPDX-License-Identifier: GPL-2.0

//! Swap, compaction and migration must not lose a byte, and unused memory is freed when a process
//! dies.

use crate::area::Area;
use crate::context::{Context, P};
use crate::outcome::{cannot, lacks, Result, Stop};
use crate::sysctl::Sysctl;
use crate::view::resident;
use crate::{cases, check, check_eq};
use rmmap_procfs::process::meminfo;
use rmmap_procfs::Process;
use rmmap_sys::rustix::fs::{fadvise, Advice as FileAdvice};
use rmmap_sys::rustix::mm::{Advice, MapFlags};
use rmmap_sys::rustix::process::Signal;
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{fork, End, Errno, MapOptions, Mapping};
use std::fs::write;
use std::time::{Duration, Instant};

cases! {
    Each dontneed_keeps_contents [] "MADV_DONTNEED unmaps and loses nothing; the next touch finds the same page";
    Each reclaim_advice_keeps_contents [] "MADV_COLD, MADV_PAGEOUT and fadvise(DONTNEED) lose nothing";
    Each drop_caches_keeps_contents [] "vm.drop_caches loses no page, mapped or not";
    Each compaction_keeps_contents [] "compact_memory moves pages to other frames and changes none", 120;
    Rmmap killed_process_leaves_nothing [] "SIGKILL in the middle of touching and locking: regions and memory are freed";
    Rmmap killed_process_in_populate_leaves_nothing [] "SIGKILL during MAP_POPULATE ends it, and its memory is freed";
}

/// Fills each page with its own bytes.
fn fill(m: &Mapping) -> Result {
    for page in 0..m.pages() {
        m.write_u64(page * P, page as u64 * 0x0101_0101 + 7)?;
        m.write_u64(page * P + P - 8, !(page as u64))?;
    }
    Ok(())
}

/// Checks that the bytes are those of [`fill`].
#[track_caller]
fn check_filled(m: &Mapping) -> Result {
    (0..m.pages()).try_for_each(|page| check_page(m, page))
}

/// Checks that the bytes of a page are those of [`fill`].
#[track_caller]
fn check_page(m: &Mapping, page: usize) -> Result {
    let got = (m.read_u64(page * P)?, m.read_u64(page * P + P - 8)?);
    let want = (page as u64 * 0x0101_0101 + 7, !(page as u64));
    crate::outcome::equal(&format!("the bytes of page {page}"), &got, &want)
}

/// Returns a filled area and a mapping of it. The first half of the mapping has no page table
/// entries any more, so its pages are only in the page cache.
fn filled(cx: &Context) -> Result<(Area, Mapping)> {
    let area = cx.area(256)?;
    let m = area.map()?;
    fill(&m)?;
    m.advise(0, m.len() / 2, Advice::LinuxDontNeed)?;
    Ok((area, m))
}

fn dontneed_keeps_contents(cx: &Context) -> Result {
    let area = cx.area(64)?;
    let m = area.map()?;
    fill(&m)?;
    m.advise(0, m.len(), Advice::LinuxDontNeed)?;
    check_eq!((resident(&m)?, area.held_pages()?), (0, 64));
    let count = area.count()?;
    check_filled(&m)?;
    check_eq!(
        count.get("folios")?.unwrap_or(0),
        0,
        "folios that were added"
    );
    Ok(())
}

fn reclaim_advice_keeps_contents(cx: &Context) -> Result {
    let (area, m) = filled(cx)?;
    for advice in [Advice::LinuxCold, Advice::LinuxPageOut, Advice::WillNeed] {
        m.advise(0, m.len(), advice)?;
        check_filled(&m)?;
    }
    m.advise(0, m.len(), Advice::LinuxDontNeed)?;
    fadvise(&area, area.base(), None, FileAdvice::DontNeed)?;
    check_filled(&m)?;
    check_eq!(area.held_pages()?, 256);
    Ok(())
}

fn drop_caches_keeps_contents(cx: &Context) -> Result {
    let (area, m) = filled(cx)?;
    write("/proc/sys/vm/drop_caches", "3").map_err(|e| cannot("drop caches", e))?;
    check_eq!(area.held_pages()?, 256);
    check_filled(&m)?;
    Ok(())
}

fn compaction_keeps_contents(cx: &Context) -> Result {
    cx.needs(
        CapabilitySet::SYS_ADMIN,
        "CAP_SYS_ADMIN to see the frames of pages",
    )?;
    let compact = || {
        let file = "/proc/sys/vm/compact_memory";
        write(file, "1").map_err(|e| lacks("compact memory", e, &[Errno::NOENT]))
    };
    // Keep the per-CPU lists short: compaction moves no page to those.
    let _lists = Sysctl::set("vm/percpu_pagelist_high_fraction", 1 << 20)?;
    // With PREEMPT_RT compaction leaves pages alone that cannot be evicted (mm/Kconfig).
    let _all = Sysctl::set("vm/compact_unevictable_allowed", 1)?;
    // Free every second single page, so that compaction has targets. Pages above all free ones do
    // not move, so each round allocates its pages elsewhere.
    for round in 0.. {
        let elsewhere = skip_free_memory(round)?;
        let area = cx.single_pages(PAGES)?;
        let m = area.map()?;
        fill(&m)?;
        drop(elsewhere);
        for page in (1..PAGES).step_by(2) {
            area.discard(page, 1)?;
        }
        let before = frames(&m)?;
        compact()?;
        for page in (0..PAGES).step_by(2) {
            check_page(&m, page)?;
        }
        check_eq!(area.held_pages()?, PAGES / 2);
        let after = frames(&m)?;
        // Compaction unmaps the pages that it moves; the comparison counts pages that are mapped
        // again.
        let moved = (0..PAGES)
            .step_by(2)
            .filter(|page| before[*page] != after[*page]);
        if moved.count() > 0 {
            return Ok(());
        }
        check!(
            round < ROUNDS,
            "compaction moved no page in {ROUNDS} rounds"
        );
    }
    Ok(())
}

/// Pages that compaction may move.
const PAGES: usize = 8192;
/// Rounds until compaction must have moved a page.
const ROUNDS: usize = 8;

/// Allocates `round` tenths of the free memory, so that the next allocation lies elsewhere.
fn skip_free_memory(round: usize) -> Result<Option<Mapping>> {
    if round == 0 {
        return Ok(None);
    }
    let free = meminfo()?.get("MemFree");
    let free = free.ok_or_else(|| Stop::fail("/proc/meminfo has no MemFree"))? as usize;
    let options = MapOptions::new((free << 10) / 10 * round / P * P).private();
    Ok(Some(options.flags(MapFlags::POPULATE).map_anonymous()?))
}

/// Returns the page frames of a mapping; 0 where no page is mapped.
fn frames(m: &Mapping) -> Result<Vec<u64>> {
    let pages = Process::Myself.pagemap()?.pages(m.address(), m.pages())?;
    Ok(pages.iter().map(|page| page.pfn()).collect())
}

/// Waits until the device's totals have their former values again.
fn given_back(cx: &Context, before: &rmmap_sys::uapi::RmmapInfo) -> Result {
    let end = Instant::now() + Duration::from_secs(5).mul_f64(cx.time_scale);
    loop {
        let now = cx.device()?.info()?;
        if (now.regions, now.used_bytes) == (before.regions, before.used_bytes) {
            return Ok(());
        }
        if Instant::now() > end {
            check_eq!(
                (now.regions, now.used_bytes),
                (before.regions, before.used_bytes)
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn killed_process_leaves_nothing(cx: &Context) -> Result {
    let before = cx.device()?.info()?;
    for _ in 0..cx.rounds(5) {
        let mut child = fork(|channel| {
            let work = || -> Result {
                let (region, locked) = (cx.area(128)?, cx.area(32)?);
                let m = region.map()?;
                let _locked = locked.whole().flags(MapFlags::LOCKED).map(&locked)?;
                let _private = region
                    .whole()
                    .private()
                    .flags(MapFlags::POPULATE)
                    .map(&region)?;
                m.touch_write(0, 1)?;
                channel.send_u64(0)?;
                // It runs until it is killed.
                for i in 0.. {
                    m.touch_write(i % 128, 1)?;
                    if i % 128 == 0 {
                        region.discard(0, 128)?;
                    }
                }
                Ok(())
            };
            i32::from(work().is_err())
        })?;
        child.channel().receive_u64()?;
        check!(
            cx.device()?.info()?.regions == before.regions + 2,
            "the child's regions are missing"
        );
        child.signal(Signal::KILL)?;
        check_eq!(child.wait()?, End::Killed(Signal::KILL.as_raw()));
        given_back(cx, &before)?;
    }
    Ok(())
}

fn killed_process_in_populate_leaves_nothing(cx: &Context) -> Result {
    let before = cx.device()?.info()?;
    let pages = (before.max_bytes as usize / P / 2).min(1 << 16);
    let mut child = fork(|channel| {
        let work = || -> Result {
            let region = cx.region(pages)?;
            channel.send_u64(0)?;
            loop {
                let all = rmmap_sys::MapOptions::new(pages * P);
                drop(all.flags(MapFlags::POPULATE).map(&region)?);
                region.discard(0, (pages * P) as u64)?;
            }
        };
        i32::from(work().is_err())
    })?;
    child.channel().receive_u64()?;
    let end = Instant::now() + Duration::from_secs(10).mul_f64(cx.time_scale);
    while cx.device()?.info()?.used_bytes < before.used_bytes + (64 << 10) {
        check!(Instant::now() < end, "the child populates nothing");
    }
    child.signal(Signal::KILL)?;
    check_eq!(child.wait()?, End::Killed(Signal::KILL.as_raw()));
    given_back(cx, &before)
}
