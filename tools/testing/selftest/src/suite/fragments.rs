// SPDX-License-Identifier: GPL-2.0

//! Memory that is free in single pages only: large folios cannot be allocated, and nothing may wait for
//! them.

use crate::context::{Context, P, PMD};
use crate::counting::stats;
use crate::outcome::{Result, Stop};
use crate::sysctl::Sysctl;
use crate::{cases, check, check_eq};
use rmmap_procfs::process::{meminfo, vmstat};
use rmmap_procfs::Process;
use rmmap_sys::rustix::fs::{fallocate, FallocateFlags};
use rmmap_sys::rustix::mm::Advice;
use rmmap_sys::uapi::{RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_ALWAYS, RMMAP_CREATE_NEVER};
use rmmap_sys::{Device, MapOptions, Mapping};

cases! {
    Reload fragments_are_taken_as_they_are [] "memory free in single pages: small folios, zeroed, without reclaim or compaction; later large ones again", 120;
}

/// Memory that is too much to be filled in the time there is, kB.
const TOO_MUCH: u64 = 3 << 20;

/// Memory that is made free in single pages, twice as much, bytes.
const PIECES: usize = 96 << 20;

/// Memory that is left free when all else is taken, pages: so much that nobody has to reclaim.
const LEFT: usize = (8 << 20) / P;

/// How often the pieces are made before it is a failure that they are undone.
const ATTEMPTS: usize = 5;

/// Pages of each region that is tried.
const PAGES: usize = 8 * PMD / P;

/// What lies in memory that was given back.
const DIRT: u64 = 0x6469_7274_6469_7274;

/// What is counted in `/proc/vmstat` when somebody reclaims or compacts before it has memory.
const STALLS: &[&str] = &[
    "allocstall_dma",
    "allocstall_dma32",
    "allocstall_normal",
    "allocstall_movable",
    "compact_stall",
];

/// What is counted there when somebody is killed for memory.
const KILLS: &[&str] = &["oom_kill"];

/// What is counted there when pages are moved, or large folios split to be moved.
const MOVES: &[&str] = &["pgmigrate_success", "pgmigrate_fail", "thp_split_page"];

fn fragments_are_taken_as_they_are(cx: &Context) -> Result {
    let free = memory("MemFree")?;
    if free > TOO_MUCH {
        return Err(Stop::skip(format_args!(
            "{} MiB of free memory take too long to fill: give the machine 2 GiB",
            free >> 10
        )));
    }
    // Nobody puts the pieces together meanwhile, hardly any are kept for others, and processors
    // keep few for themselves, where none would see them.
    let _compaction = Sysctl::set("vm/compaction_proactiveness", 0)?;
    let _reserve = Sysctl::set("vm/min_free_kbytes", 1024)?;
    let _boost = Sysctl::set("vm/watermark_boost_factor", 0)?;
    let _lowest = keep_lowest_zone()?;
    let _lists = Sysctl::set("vm/percpu_pagelist_high_fraction", 1 << 20)?;
    let quota = format!("max_bytes={}", memory("MemTotal")? << 10);
    cx.loader()?.reload_with(&[&quota])?;

    for flags in [RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_ALWAYS] {
        let mut undone = Vec::new();
        while let Some(how) = check_pieces(cx, flags)? {
            undone.push(how);
            check!(
                undone.len() < ATTEMPTS,
                "too few single pages each time: {undone:?}"
            );
        }
    }

    let (region, mapping) = region(cx, PAGES, RMMAP_CREATE_ADAPTIVE)?;
    mapping.advise(0, mapping.len(), Advice::LinuxPopulateWrite)?;
    check_eq!(stats(&region)?.region.folios[9], 8, "large folios later");
    Ok(())
}

/// Keeps all of the lowest zone for drivers, as half of it is anyway.
fn keep_lowest_zone() -> Result<Sysctl> {
    let name = "lowmem_reserve_ratio";
    let ratios = std::fs::read_to_string(format!("/proc/sys/vm/{name}"))?;
    let others: Vec<_> = ratios.split_whitespace().skip(1).collect();
    Sysctl::set(&format!("vm/{name}"), format!("1 {}", others.join(" ")))
}

/// A region and a mapping of all of it.
fn region(cx: &Context, pages: usize, flags: u32) -> Result<(Device, Mapping)> {
    let region = cx.device()?.create((pages * P) as u64, flags)?;
    let mapping = MapOptions::new(pages * P).map(&region)?;
    Ok((region, mapping))
}

/// Takes memory in large folios, which is fast, and leaves the rest.
fn take_all_but_pieces(cx: &Context) -> Result<(Device, Mapping)> {
    let bytes = (memory("MemFree")? as usize) << 10;
    let taken = bytes.saturating_sub(PIECES) & !(PMD - 1);
    let (device, mapping) = region(cx, taken.max(PMD) / P, RMMAP_CREATE_ALWAYS)?;
    mapping.advise(0, mapping.len(), Advice::LinuxPopulateWrite)?;
    Ok((device, mapping))
}

/// Takes the rest page by page and gives every second one back. They come one after the other from
/// larger blocks, so that what is given back has neighbours that are not free.
fn make_pieces(cx: &Context) -> Result<(Device, Mapping)> {
    let (device, mapping) = region(cx, 2 * PIECES / P, RMMAP_CREATE_NEVER)?;
    let mut pages = 0;
    while Blocks::read()?.pages() > LEFT {
        check!(
            pages < mapping.pages(),
            "memory does not come to an end after {pages} pages"
        );
        for page in pages..pages + 256 {
            mapping.write_u64(page * P, DIRT)?;
            mapping.write_u64(page * P + 8, DIRT)?;
        }
        pages += 256;
    }
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    for page in (1..pages).step_by(2) {
        fallocate(&device, punch, (page * P) as u64, P as u64)?;
    }
    Ok((device, mapping))
}

/// Makes memory free in single pages, and fills a region, one half by a populate, the other by
/// touches in order. Returns what the region got if that was mostly larger folios: then nothing is
/// shown, and the pieces have to be made again.
fn check_pieces(cx: &Context, flags: u32) -> Result<Option<String>> {
    let _taken = take_all_but_pieces(cx)?;
    let _pieces = make_pieces(cx)?;
    let blocks = Blocks::read()?;
    check!(
        blocks.single > 2 * PAGES && blocks.larger < PAGES * 3 / 4,
        "memory could not be cut into pieces: {blocks:?}"
    );
    let (before, killed, stalls) = (sum(MOVES)?, sum(KILLS)?, sum(STALLS)?);
    let (device, mapping) = region(cx, PAGES, flags)?;
    mapping.advise(0, mapping.len() / 2, Advice::LinuxPopulateWrite)?;
    for page in 0..PAGES {
        if page < PAGES / 2 {
            check_eq!(mapping.touch_read(page)?, 0, "page {page}");
        }
        mapping.touch_write(page, 1)?;
        check_eq!(mapping.read_u64(page * P + 8)?, 0, "page {page}");
    }
    let (killed, stalls) = (sum(KILLS)? - killed, sum(STALLS)? - stalls);
    check_eq!(killed, 0, "processes killed");

    let counters = stats(&device)?.region;
    let orders = counters.folios.iter().enumerate();
    let larger: u64 = orders.skip(1).map(|(order, count)| count << order).sum();
    // Compaction in the background or a process that ends may have made larger blocks since they
    // were counted; the region takes those rightly. One that makes them itself does so each time.
    if counters.folios[0] <= PAGES as u64 / 4 {
        let moved = sum(MOVES)? - before;
        return Ok(Some(format!(
            "of {blocks:?}, with {moved} moved: {:?}",
            counters.folios
        )));
    }
    // Others wait, too, who want pages that belong together. Those who want them for regions would
    // do so each time, and for each order.
    let fallbacks = counters.order_fallback;
    check!(
        fallbacks > 10 && stalls < fallbacks / 10,
        "{stalls} times somebody waited, {fallbacks} times smaller folios were taken"
    );
    if flags == RMMAP_CREATE_ADAPTIVE {
        // Single pages as well, but many per fault.
        let touches = counters.fault_write - counters.fault_populate;
        check!(touches < PAGES as u64 / 8, "{touches} faults: {counters:?}");
    }
    check_eq!(counters.folios[0] + larger, PAGES as u64);
    check_eq!(device.info()?.resident as usize / P, PAGES);
    // What is split is unmapped; what is being moved has an entry that says so, like swap.
    let pages = Process::Myself.pagemap()?.pages(mapping.address(), PAGES)?;
    let mapped = pages
        .iter()
        .filter(|page| page.is_present() || page.is_swapped());
    let (mapped, moved) = (mapped.count(), sum(MOVES)? - before);
    check!(
        mapped == PAGES || moved > 0,
        "{mapped} of {PAGES} pages are mapped, and none was moved"
    );
    Ok(None)
}

/// A number of `/proc/meminfo`, kB.
fn memory(name: &str) -> Result<u64> {
    let value = meminfo()?.get(name);
    value.ok_or_else(|| Stop::fail(format_args!("/proc/meminfo has no {name}")))
}

/// The sum of those of these numbers of `/proc/vmstat` that this kernel has.
fn sum(names: &[&str]) -> Result<u64> {
    let fields = vmstat()?;
    Ok(names.iter().filter_map(|name| fields.get(name)).sum())
}

/// The pages that are free in the zones that programs get memory of.
#[derive(Debug)]
struct Blocks {
    /// By themselves.
    single: usize,
    /// In blocks of two or more.
    larger: usize,
}

impl Blocks {
    /// How many these are.
    fn pages(&self) -> usize {
        self.single + self.larger
    }

    /// Reads `/proc/buddyinfo`: a line for each zone, with a number for each order.
    fn read() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/buddyinfo")?;
        let mut blocks = Self {
            single: 0,
            larger: 0,
        };
        for line in text.lines() {
            if line.contains(" DMA ") {
                continue;
            }
            let words = line.split_whitespace().skip(4);
            for (order, count) in words.flat_map(str::parse::<usize>).enumerate() {
                match order {
                    0 => blocks.single += count,
                    _ => blocks.larger += count << order,
                }
            }
        }
        Ok(blocks)
    }
}
