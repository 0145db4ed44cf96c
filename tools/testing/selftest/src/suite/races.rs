// SPDX-License-Identifier: GPL-2.0

//! Threads and processes at the same time.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::race::race;
use crate::view::resident;
use crate::{cases, check, check_counts, check_eq};
use rmmap_sys::rustix::fs::{fstat, ftruncate};
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::rustix::mm::{Advice, MprotectFlags};
use rmmap_sys::{fork, Device, End, MapOptions, Mapping};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Barrier;
use std::thread::scope;

cases! {
    Each threads_fault_same_pages [] "threads that touch the same pages at once get the same pages, and one each";
    Each processes_fault_same_pages [] "the same with processes, each through a mapping of its own";
    File truncate_races_with_faults [] "faults during truncation leave no page beyond the end and lose none before it", 60;
    Each discard_races_with_faults [] "faults and writes during discards: every byte is old or zero, and the count is right", 60;
    File writes_race_with_truncate [] "write(2) during truncation leaves no page beyond the end", 60;
    Rmmap create_and_close_race [] "threads that create, touch and close regions leave none and no memory", 60;
    Each mappings_change_under_faults [] "madvise and mprotect in one thread, touches in another: contents stay";
}

fn threads_fault_same_pages(cx: &Context) -> Result {
    const THREADS: usize = 4;
    const PAGES: usize = 128;
    for round in 0..cx.rounds(5) {
        let area = cx.area(PAGES)?;
        let m = area.map()?;
        let count = area.count()?;
        let barrier = Barrier::new(THREADS);
        let failed = AtomicUsize::new(0);
        scope(|scope| {
            for thread in 0..THREADS {
                let (m, barrier, failed) = (&m, &barrier, &failed);
                scope.spawn(move || {
                    barrier.wait();
                    // Each thread has a byte of its own in each page.
                    let store = |page| m.write(page * P + thread, &[thread as u8 + 1]);
                    let bad = (0..PAGES).filter(|page| store(*page).is_err()).count();
                    failed.fetch_add(bad, Ordering::Relaxed);
                });
            }
        });
        check_eq!(failed.into_inner(), 0, "stores that failed");
        for page in 0..PAGES {
            check_eq!(
                m.read_u64(page * P)?,
                0x0403_0201,
                "page {page} in round {round}"
            );
        }
        check_eq!((area.held_pages()?, resident(&m)?), (PAGES, PAGES));
        check_eq!(
            count.get("folios")?.unwrap_or(PAGES as u64),
            PAGES as u64,
            "new pages"
        );
        check_eq!(
            count.get("folios")?.unwrap_or(PAGES as u64),
            PAGES as u64,
            "folios added"
        );
    }
    Ok(())
}

fn processes_fault_same_pages(cx: &Context) -> Result {
    const PAGES: usize = 64;
    let area = cx.area(PAGES)?;
    let count = area.count()?;
    let children = (0..3).map(|i| {
        fork(|channel| {
            let work = || -> Result {
                let m = area.map()?;
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
        child.channel().send_u64(0)?;
    }
    for child in &mut children {
        check_eq!(child.wait()?, End::Exited(0));
    }
    let m = area.map()?;
    for page in 0..PAGES {
        check_eq!(m.read_u64(page * P)?, 0x03_0201, "page {page}");
    }
    check_eq!(
        count.get("folios")?.unwrap_or(PAGES as u64),
        PAGES as u64,
        "new pages"
    );
    check_eq!(area.held_pages()?, PAGES);
    Ok(())
}

/// Fails if the object holds pages beyond its end.
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
    let area = cx.area(PAGES)?;
    let m = area.map()?;
    let size = (PAGES * P) as u64;
    let touches = |thread: usize, stop: &AtomicBool| -> Result {
        let mut i = thread;
        while !stop.load(Ordering::Relaxed) {
            i = (i * 5 + 3) % PAGES;
            // The end may be before the page at this moment: that is the point.
            match m.touch_write(i, 1) {
                Ok(()) => {}
                Err(fault) if fault.is_beyond_end() && i >= 2 => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    };
    let mut cycles = 0;
    race(cx, 3, touches, || {
        ftruncate(&area, 2 * P as u64)?;
        check_no_page_beyond(&area)?;
        ftruncate(&area, size)?;
        cycles += 1;
        Ok(())
    })?;
    ftruncate(&area, 2 * P as u64)?;
    check_no_page_beyond(&area)?;
    check_eq!(
        resident(&m)?,
        2,
        "pages that are mapped after {cycles} cycles"
    );
    ftruncate(&area, 0)?;
    check_eq!(area.held_pages()?, 0);
    Ok(())
}

fn discard_races_with_faults(cx: &Context) -> Result {
    const PAGES: usize = 32;
    const FULL: u64 = 0x7777_7777_7777_7777;
    let area = cx.area(PAGES)?;
    let m = area.map()?;
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
            // A discard between the two, or a write that is half done.
            let bytes = seen.to_ne_bytes();
            check!(
                bytes.iter().all(|b| [0, 0x77].contains(b)),
                "page {page} has {seen:#x}"
            );
        }
        Ok(())
    };
    race(cx, 2, work, || area.discard(0, PAGES))?;
    area.discard(0, PAGES)?;
    check_eq!((area.held_pages()?, resident(&m)?), (0, 0));
    Ok(())
}

fn writes_race_with_truncate(cx: &Context) -> Result {
    const PAGES: usize = 16;
    let area = cx.area(PAGES)?;
    let work = |thread: usize, stop: &AtomicBool| -> Result {
        let mut buffer = [0; P];
        while !stop.load(Ordering::Relaxed) {
            // Inside of the smallest size, so that the file does not grow by it.
            pwrite(&area, &[1; P], (thread * P + 100) as u64)?;
            pread(&area, &mut buffer, (PAGES / 2 * P) as u64)?;
        }
        Ok(())
    };
    race(cx, 2, work, || {
        ftruncate(&area, 4 * P as u64)?;
        check_no_page_beyond(&area)?;
        ftruncate(&area, (PAGES * P) as u64)?;
        Ok(())
    })?;
    ftruncate(&area, 0)?;
    check_eq!(area.held_pages()?, 0);
    Ok(())
}

fn create_and_close_race(cx: &Context) -> Result {
    let device = cx.device()?;
    let before = device.info()?;
    let made = AtomicUsize::new(0);
    let work = |thread: usize, stop: &AtomicBool| -> Result {
        // At least once each, however slow the machine is.
        loop {
            let region = Device::open()?.create(8 * P as u64, 0)?;
            let m = MapOptions::new(8 * P).map(&region)?;
            check_eq!(m.touch_read(thread)?, 0, "a byte of a new region");
            m.touch_write(thread, 0xff)?;
            if made.fetch_add(1, Ordering::Relaxed) % 2 == 0 {
                drop(region);
                m.touch_write(7, 0xff)?;
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    };
    race(cx, 3, work, || {
        let info = device.info()?;
        check!(
            info.regions - before.regions <= 6,
            "{} regions exist",
            info.regions
        );
        Ok(())
    })?;
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
    let area = cx.area(PAGES)?;
    let m: Mapping = area.map()?;
    for page in 0..PAGES {
        m.touch_write(page, page as u8)?;
    }
    let work = |thread: usize, stop: &AtomicBool| -> Result {
        let mut page = thread;
        while !stop.load(Ordering::Relaxed) {
            page = (page * 5 + 3) % PAGES;
            check_eq!(m.touch_read(page)?, page as u8, "the byte of page {page}");
        }
        Ok(())
    };
    race(cx, 2, work, || {
        m.advise(0, m.len(), Advice::LinuxDontNeed)?;
        m.protect(0, m.len() / 2, MprotectFlags::READ)?;
        m.advise(0, m.len(), Advice::Random)?;
        m.protect(0, m.len() / 2, MprotectFlags::READ | MprotectFlags::WRITE)?;
        m.advise(0, m.len(), Advice::Normal)?;
        Ok(())
    })?;
    check_eq!(area.held_pages()?, PAGES);
    if area.kind() != Kind::Memfd {
        check_counts!(area.count()?);
    }
    Ok(())
}
