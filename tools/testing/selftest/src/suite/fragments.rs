// SPDX-License-Identifier: GPL-2.0

//! Fragmented memory: all free memory is single pages, so large folios cannot be allocated, and the
//! region must fall back to single pages without reclaim or compaction.

use crate::context::{needs_large_folios, Context, P, PMD, PMD_ORDER};
use crate::counting::stats;
use crate::outcome::{Result, Stop};
use crate::sysctl::Sysctl;
use crate::{cases, check, check_eq};
use rmmap_procfs::process::{meminfo, vmstat};
use rmmap_procfs::Process;
use rmmap_sys::rustix::fs::{fallocate, FallocateFlags};
use rmmap_sys::rustix::mm::Advice;
use rmmap_sys::uapi::{
    RmmapCounters, RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_ALWAYS, RMMAP_CREATE_NEVER,
};
use rmmap_sys::{Device, MapOptions, Mapping};

cases! {
    Reload fragments_are_taken_as_they_are [] "all free memory is single pages: small folios, zeroed, without reclaim or compaction; later large ones again", 120;
}

/// Free memory above this takes too long to fill, kB.
const TOO_MUCH: u64 = 3 << 20;

/// Memory that is filled page by page, half of which is then freed as single pages, bytes.
const PIECES: usize = 6 * PAGES * P;

/// Pages that stay free while the rest is filled, so that the filling does not start reclaim.
const LEFT: usize = PAGES / 2;

/// Attempts to fragment memory before the test fails because the fragments merged each time.
const ATTEMPTS: usize = 5;

/// Pages of each region under test.
const PAGES: usize = 4096;

/// The contents of freed memory.
const DIRT: u64 = 0x6469_7274_6469_7274;

/// The counters of `/proc/vmstat` for direct reclaim and direct compaction.
const STALLS: &[&str] = &[
    "allocstall_dma",
    "allocstall_dma32",
    "allocstall_normal",
    "allocstall_movable",
    "compact_stall",
];

/// The counter for the OOM killer.
const KILLS: &[&str] = &["oom_kill"];

/// The counters for migrated pages, and for large folios split to be migrated.
const MOVES: &[&str] = &["pgmigrate_success", "pgmigrate_fail", "thp_split_page"];

fn fragments_are_taken_as_they_are(cx: &Context) -> Result {
    needs_large_folios()?;
    let free = memory("MemFree")?;
    if free > TOO_MUCH {
        return Err(Stop::skip(format_args!(
            "{} MiB of free memory take too long to fill: give the machine 2 GiB",
            free >> 10
        )));
    }
    // Switch proactive compaction off, keep few pages in reserve, and few on the per-CPU lists,
    // where /proc/buddyinfo does not count them.
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
    let large = stats(&region)?.region.folios[PMD_ORDER];
    check_eq!(large as usize, PAGES >> PMD_ORDER, "large folios later");
    Ok(())
}

/// Reserves all of ZONE_DMA for drivers; by default half of it is.
fn keep_lowest_zone() -> Result<Sysctl> {
    let name = "lowmem_reserve_ratio";
    let ratios = std::fs::read_to_string(format!("/proc/sys/vm/{name}"))?;
    let others: Vec<_> = ratios.split_whitespace().skip(1).collect();
    Sysctl::set(&format!("vm/{name}"), format!("1 {}", others.join(" ")))
}

/// Creates a region and maps all of it.
fn region(cx: &Context, pages: usize, flags: u32) -> Result<(Device, Mapping)> {
    let region = cx.device()?.create((pages * P) as u64, flags)?;
    let mapping = MapOptions::new(pages * P).map(&region)?;
    Ok((region, mapping))
}

/// Fills most of free memory with large folios, which is fast, and leaves [`PIECES`] bytes.
fn take_all_but_pieces(cx: &Context) -> Result<(Device, Mapping)> {
    let bytes = (memory("MemFree")? as usize) << 10;
    let taken = bytes.saturating_sub(PIECES) & !(PMD - 1);
    let (device, mapping) = region(cx, taken.max(PMD) / P, RMMAP_CREATE_ALWAYS)?;
    mapping.advise(0, mapping.len(), Advice::LinuxPopulateWrite)?;
    Ok((device, mapping))
}

/// Fills the rest page by page, then frees every second page. The allocator splits these pages from
/// larger blocks in order, so the neighbours of a freed page are in use.
fn make_pieces(cx: &Context) -> Result<(Device, Mapping)> {
    let (device, mapping) = region(cx, 2 * PIECES / P, RMMAP_CREATE_NEVER)?;
    let mut pages = 0;
    while Blocks::read()?.pages() > LEFT {
        check!(
            pages < mapping.pages(),
            "memory is not used up after {pages} pages"
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

/// Fragments memory and fills a region, the first half by a populate, the second by touches in
/// order. Returns the reason if the attempt shows nothing, and the caller is to repeat it: memory is
/// not fragmented, or most folios of the region are larger than a page.
fn check_pieces(cx: &Context, flags: u32) -> Result<Option<String>> {
    let _taken = take_all_but_pieces(cx)?;
    let _pieces = make_pieces(cx)?;
    let blocks = Blocks::read()?;
    // Others may have freed memory meanwhile.
    if blocks.single <= 2 * PAGES || blocks.larger >= PAGES * 3 / 4 {
        return Ok(Some(format!("memory could not be fragmented: {blocks:?}")));
    }
    let (before, killed, stalls) = (sum(MOVES)?, sum(KILLS)?, sum(STALLS)?);
    let (device, mapping) = region(cx, PAGES, flags)?;
    mapping.advise(0, mapping.len() / 2, Advice::LinuxPopulateWrite)?;
    let populated = stats(&device)?.region;
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
    // Background compaction or an exiting process may have merged blocks since they were counted,
    // and the region may use those. A region that compacted memory itself would do so in each
    // attempt.
    if counters.folios[0] <= PAGES as u64 / 4 {
        let moved = sum(MOVES)? - before;
        return Ok(Some(format!(
            "of {blocks:?}, with {moved} moved: {:?}",
            counters.folios
        )));
    }
    // Other tasks stall, too, when they allocate contiguous pages. A region that stalled would do
    // so for each order of each attempt.
    let fallbacks = counters.order_fallback;
    check!(
        fallbacks > 10 && stalls < fallbacks / 10,
        "{stalls} stalls for {fallbacks} fallbacks to smaller folios"
    );
    if flags == RMMAP_CREATE_ADAPTIVE {
        // The folios are single pages here, too, but a fault adds many of them. Where a block of two
        // pages is left, its fault adds just these, and the next two touches one page each: a fault
        // looks for a stream at every fourth page.
        let folios = |counters: &RmmapCounters| counters.folios[1..].iter().sum::<u64>();
        let touches = counters.fault_write - populated.fault_write;
        let most = 3 * (folios(&counters) - folios(&populated)) + PAGES as u64 / 16;
        check!(
            touches <= most,
            "{touches} faults, more than {most}, of {blocks:?}: {counters:?} after {populated:?}"
        );
    }
    check_eq!(counters.folios[0] + larger, PAGES as u64);
    check_eq!(device.info()?.resident as usize / P, PAGES);
    // Splitting a folio unmaps it; a page under migration has a migration entry, which pagemap
    // shows as swapped.
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

/// Returns a field of `/proc/meminfo`, kB.
fn memory(name: &str) -> Result<u64> {
    let value = meminfo()?.get(name);
    value.ok_or_else(|| Stop::fail(format_args!("/proc/meminfo has no {name}")))
}

/// Returns the sum of these fields of `/proc/vmstat`; a kernel may lack some.
fn sum(names: &[&str]) -> Result<u64> {
    let fields = vmstat()?;
    Ok(names.iter().filter_map(|name| fields.get(name)).sum())
}

/// The free pages of the zones that user memory comes from.
#[derive(Debug)]
struct Blocks {
    /// Free blocks of one page.
    single: usize,
    /// Pages in blocks of order 1 and above.
    larger: usize,
}

impl Blocks {
    /// Returns the sum of both.
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
            // 16 MiB on x86; on arm64 all memory of a small machine.
            if cfg!(target_arch = "x86_64") && line.contains(" DMA ") {
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
