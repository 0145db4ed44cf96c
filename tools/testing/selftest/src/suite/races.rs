// SPDX-License-Identifier: GPL-2.0

//! Races between threads, and between processes.

use crate::area::Area;
use crate::context::{has_large_folios, Context, P};
use crate::counting::Counting;
use crate::outcome::{Result, Stop};
use crate::race::race;
use crate::view::resident;
use crate::{cases, check, check_eq};
use rmmap_sys::process::faults;
use rmmap_sys::rustix::fs::{fstat, ftruncate};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::rustix::mm::{Advice, MprotectFlags};
use rmmap_sys::uapi::RMMAP_CREATE_ALWAYS;
use rmmap_sys::{fork, Device, End, MapOptions, Mapping};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Barrier;
use std::thread::scope;

cases! {
    Each threads_fault_same_pages [] "threads that touch the same pages at once get the same pages, and one each", 60;
    Each processes_fault_same_pages [] "the same with processes, each through a mapping of its own";
    File truncate_races_with_faults [] "faults during truncation leave no page beyond the end and lose none before it", 60;
    Each discard_races_with_faults [] "faults and writes during discards: every byte is old or zero, and the count of pages is right", 60;
    File writes_race_with_truncate [] "write(2) during truncation leaves no page beyond the end", 60;
    Rmmap create_and_close_race [] "threads that create, touch and close regions leave no region and no memory", 60;
    Each mappings_change_under_faults [] "madvise and mprotect in one thread, touches in another: contents stay";
}

/// Runs a race on memory with the policy that the module was loaded with, and on large folios; the
/// latter must meet one if the kernel has them.
fn on_each(cx: &Context, pages: usize, run: fn(&Context, &Area) -> Result) -> Result {
    run(cx, &cx.area(pages)?)?;
    let area = cx.large_folios(pages)?;
    let count = area.count()?;
    run(cx, &area)?;
    let large = count.get("large_folios")?;
    check!(
        large != Some(0) || !has_large_folios(),
        "the race met no large folio"
    );
    Ok(())
}

const THREADS: usize = 4;

fn threads_fault_same_pages(cx: &Context) -> Result {
    const PAGES: usize = 128;
    on_each(cx, PAGES, |cx, area| {
        let (m, count) = (area.map()?, area.count()?);
        let (mut rounds, mut found) = (0, 0);
        // Repeat until the answer to some fault is a page that another thread has just added.
        while rounds < cx.rounds(5) || (area.is_rmmap() && found == 0) {
            check!(rounds < 200, "no two threads ever met in {rounds} rounds");
            area.discard(0, PAGES)?;
            let before = Faults::of(&count)?;
            store_at_once(&m)?;
            let faults = Faults::of(&count)?;
            for page in 0..PAGES {
                let want = 0x0403_0201;
                check_eq!(m.read_u64(page * P)?, want, "page {page} in round {rounds}");
            }
            check_eq!((area.cached_pages()?, resident(&m)?), (PAGES, PAGES));
            if area.is_rmmap() {
                check_eq!(faults.pages - before.pages, PAGES as u64, "pages added");
            }
            found += faults.found - before.found;
            rounds += 1;
        }
        Ok(())
    })
}

/// Stores to every page from several threads at once, each with a byte of its own.
fn store_at_once(m: &Mapping) -> Result {
    let (barrier, failed) = (Barrier::new(THREADS), AtomicUsize::new(0));
    scope(|scope| {
        for thread in 0..THREADS {
            let (barrier, failed) = (&barrier, &failed);
            scope.spawn(move || {
                for page in 0..m.pages() {
                    // All threads reach this page together.
                    barrier.wait();
                    let stored = m.write(page * P + thread, &[thread as u8 + 1]);
                    failed.fetch_add(usize::from(stored.is_err()), Ordering::Relaxed);
                }
            });
        }
    });
    check_eq!(failed.into_inner(), 0, "stores that failed");
    Ok(())
}

/// The effect of faults on an object.
struct Faults {
    /// Pages added.
    pages: u64,
    /// Faults that found their page, or found another thread adding it.
    found: u64,
}

impl Faults {
    fn of(count: &Counting<'_>) -> Result<Self> {
        let get = |name| -> Result<u64> { Ok(count.get(name)?.unwrap_or(0)) };
        Ok(Self {
            pages: get("pages")?,
            found: get("answer_cached")? + get("answer_retry")?,
        })
    }
}

fn processes_fault_same_pages(cx: &Context) -> Result {
    const PAGES: usize = 64;
    on_each(cx, PAGES, |_, area| {
        let count = area.count()?;
        let children = (0..3).map(|i| {
            fork(|channel| {
                let work = || -> Result {
                    let m = area.map()?;
                    // No thread begins before all have arrived.
                    channel.send_u64(0)?;
                    channel.receive_u64()?;
                    for page in 0..PAGES {
                        m.write(page * P + i, &[i as u8 + 1])?;
                    }
                    Ok(())
                };
                i32::from(work().is_err())
            })
        });
        let mut children = children.collect::<std::io::Result<Vec<_>>>()?;
        for child in &children {
            child.channel().receive_u64()?;
        }
        for child in &children {
            child.channel().send_u64(0)?;
        }
        for child in &mut children {
            check_eq!(child.wait()?, End::Exited(0));
        }
        let m = area.map()?;
        for page in 0..PAGES {
            check_eq!(m.read_u64(page * P)?, 0x03_0201, "page {page}");
        }
        check_eq!(count.get("pages")?.unwrap_or(PAGES as u64), PAGES as u64);
        check_eq!(area.held_pages()?, PAGES);
        Ok(())
    })
}

/// Checks that the object holds no pages past EOF.
#[track_caller]
fn check_no_page_beyond(area: &Area) -> Result {
    let stat = fstat(area)?;
    let most = (stat.st_size as usize).div_ceil(P);
    let held = area.held_pages()?;
    // memfd counts a page before it knows whether the page is within the file.
    if held > most && area.is_rmmap() {
        return Err(Stop::fail(format_args!(
            "{held} pages are held, the size is {most} pages"
        )));
    }
    Ok(())
}

fn truncate_races_with_faults(cx: &Context) -> Result {
    const PAGES: usize = 64;
    on_each(cx, PAGES, |cx, area| {
        let m = area.map()?;
        let size = (PAGES * P) as u64;
        let (stored, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let touches = |thread: usize, stop: &AtomicBool| -> Result {
            let mut i = thread;
            while !stop.load(Ordering::Relaxed) {
                i = (i * 5 + 3) % PAGES;
                // EOF may be before the page at this moment: that is the point of the test.
                match m.touch_write(i, 1) {
                    Ok(()) if i >= 2 => stored.fetch_add(1, Ordering::Relaxed),
                    Ok(()) => 0,
                    Err(fault) if fault.is_beyond_end() && i >= 2 => {
                        refused.fetch_add(1, Ordering::Relaxed)
                    }
                    Err(fault) => return Err(fault.into()),
                };
            }
            Ok(())
        };
        let cycle = || {
            ftruncate(area, 2 * P as u64)?;
            check_no_page_beyond(area)?;
            ftruncate(area, size)?;
            Ok(())
        };
        // Touches happened both before and after a truncation.
        let met = || {
            [&stored, &refused]
                .iter()
                .all(|n| n.load(Ordering::Relaxed) > 0)
        };
        race(cx, 3, touches, cycle, met)?;
        ftruncate(area, 2 * P as u64)?;
        check_no_page_beyond(area)?;
        m.touch_write(0, 1)?;
        m.touch_write(1, 1)?;
        check_eq!(resident(&m)?, 2, "pages that are mapped at the end");
        ftruncate(area, 0)?;
        check_eq!(area.held_pages()?, 0);
        Ok(())
    })
}

fn discard_races_with_faults(cx: &Context) -> Result {
    const PAGES: usize = 32;
    const FULL: u64 = 0x7777_7777_7777_7777;
    on_each(cx, PAGES, |cx, area| {
        let m = area.map()?;
        let (kept, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |thread: usize, stop: &AtomicBool| -> Result {
            let mut page = thread;
            while !stop.load(Ordering::Relaxed) {
                page = (page * 5 + 3) % PAGES;
                if thread == 0 {
                    m.write_u64(page * P, FULL)?;
                } else {
                    area.write(page * P, &[0x77; 8])?;
                }
                let seen = m.read_u64(page * P)?;
                // A discard may have run in between, or a write may be half done.
                let bytes = seen.to_ne_bytes();
                check!(
                    bytes.iter().all(|b| [0, 0x77].contains(b)),
                    "page {page} has {seen:#x}"
                );
                let n = if seen == FULL { &kept } else { &lost };
                n.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let discard = || {
            // All of it, and a part, which splits a large folio.
            area.discard(0, PAGES)?;
            area.discard(PAGES / 4, PAGES / 2)
        };
        let met = || [&kept, &lost].iter().all(|n| n.load(Ordering::Relaxed) > 0);
        race(cx, 2, work, discard, met)?;
        area.discard(0, PAGES)?;
        // write(2) may have added pages outside of this area.
        check_eq!((area.cached_pages()?, resident(&m)?), (0, 0));
        Ok(())
    })
}

fn writes_race_with_truncate(cx: &Context) -> Result {
    on_each(cx, WRITTEN, |cx, area| {
        let (mut survived, mut cut) = (0, 0);
        for round in 0.. {
            check!(
                round < 1000,
                "writes never met truncation in {round} rounds"
            );
            write_and_truncate(area)?;
            // No thread writes any more, so size and pages are stable.
            let size = fstat(area)?.st_size as usize;
            let held = area.held_pages()?;
            check!(
                held <= size.div_ceil(P) || !area.is_rmmap(),
                "{held} pages are held, the size is {size} bytes"
            );
            let bytes = area.read(0, size)?;
            let odd = bytes.iter().position(|byte| ![0, 1].contains(byte));
            check_eq!(odd, None, "the first byte that nobody wrote");
            // Each writer finally wrote to each page, so only truncation can have zeroed one.
            let pages = bytes
                .chunks(P)
                .map(|page| page.iter().any(|byte| *byte == 1));
            let whole = pages.clone().filter(|is_written| *is_written).count();
            survived += usize::from(whole > LEFT);
            cut += usize::from(whole < WRITTEN);
            if round >= cx.rounds(20) && survived > 0 && cut > 0 {
                break;
            }
        }
        ftruncate(area, 0)?;
        check_eq!(area.held_pages()?, 0);
        Ok(())
    })
}

/// Pages that the threads write to.
const WRITTEN: usize = 16;
/// Pages that truncation keeps.
const LEFT: usize = 4;

/// Writes to all pages from two threads while this one truncates: most of the writes are past EOF,
/// or past the EOF that the next truncation sets.
fn write_and_truncate(area: &Area) -> Result {
    let barrier = Barrier::new(3);
    scope(|scope| {
        let start = |thread: usize| {
            let barrier = &barrier;
            scope.spawn(move || -> Result {
                barrier.wait();
                for n in 0..2 * WRITTEN {
                    // Out of order, and across the boundary of two pages.
                    let page = (n * 5 + thread * 3) % WRITTEN;
                    let len = P.min(WRITTEN * P - page * P - 100);
                    pwrite(area, &[1; P][..len], (page * P + 100) as u64)?;
                }
                Ok(())
            })
        };
        let writers: Vec<_> = (0..2).map(start).collect();
        barrier.wait();
        let mut result = Ok(());
        for n in 0..8 {
            result = result.and_then(|()| Ok(ftruncate(area, (LEFT * P) as u64)?));
            // Every second time the writes lie before EOF.
            if n % 2 == 0 {
                result = result.and_then(|()| Ok(ftruncate(area, (WRITTEN * P) as u64)?));
            }
        }
        for writer in writers {
            let joined = writer.join().map_err(|_| Stop::fail("a thread panicked"));
            result = result.and(joined.and_then(|r| r));
        }
        result
    })
}

fn create_and_close_race(cx: &Context) -> Result {
    let device = cx.device()?;
    let before = device.info()?;
    let (made, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let flags = [0, RMMAP_CREATE_ALWAYS];
    let work = |thread: usize, stop: &AtomicBool| -> Result {
        // Each thread runs at least once, also on a slow machine.
        loop {
            let number = made.fetch_add(1, Ordering::Relaxed);
            let region = Device::open()?.create(8 * P as u64, flags[number / 2 % 2])?;
            let m = MapOptions::new(8 * P).map(&region)?;
            check_eq!(m.touch_read(thread)?, 0, "a byte of a new region");
            m.touch_write(thread, 0xff)?;
            if number % 2 == 0 {
                drop(region);
                m.touch_write(7, 0xff)?;
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    };
    let look = || {
        let alive = device.info()?.regions - before.regions;
        check!(alive <= 6, "{alive} regions exist");
        most.fetch_max(alive as usize, Ordering::Relaxed);
        Ok(())
    };
    // At least two existed at the same time.
    race(cx, 3, work, look, || most.load(Ordering::Relaxed) >= 2)?;
    let end = device.info()?;
    let made = made.into_inner();
    check!(made >= 3, "only {made} regions were made");
    check_eq!(
        (end.regions, end.used_bytes),
        (before.regions, before.used_bytes)
    );
    Ok(())
}

fn mappings_change_under_faults(cx: &Context) -> Result {
    const PAGES: usize = 32;
    on_each(cx, PAGES, |cx, area| {
        let m: Mapping = area.map()?;
        for page in 0..PAGES {
            m.touch_write(page, page as u8)?;
        }
        let count = area.count()?;
        let (taken, changes) = (AtomicU64::new(0), AtomicU64::new(0));
        let work = |thread: usize, stop: &AtomicBool| -> Result {
            let mut page = thread;
            while !stop.load(Ordering::Relaxed) {
                page = (page * 5 + 3) % PAGES;
                let before = faults().minor;
                let byte = m.touch_read(page)?;
                taken.fetch_add(faults().minor - before, Ordering::Relaxed);
                check_eq!(byte, page as u8, "the byte of page {page}");
            }
            Ok(())
        };
        let change = || {
            m.advise(0, m.len(), Advice::LinuxDontNeed)?;
            m.protect(0, m.len() / 2, MprotectFlags::READ)?;
            m.advise(0, m.len(), Advice::Random)?;
            m.protect(0, m.len() / 2, MprotectFlags::READ | MprotectFlags::WRITE)?;
            m.advise(0, m.len(), Advice::Normal)?;
            changes.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        // More faults than the code itself takes, and mappings changed before some of them.
        let met = || {
            let enough = |n: &AtomicU64| n.load(Ordering::Relaxed) > 50;
            enough(&changes) && enough(&taken)
        };
        race(cx, 2, work, change, met)?;
        check_eq!(area.held_pages()?, PAGES);
        check_eq!(
            count.get("folios")?.unwrap_or(0),
            0,
            "folios that were added"
        );
        Ok(())
    })
}
