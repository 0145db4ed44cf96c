// SPDX-License-Identifier: GPL-2.0

//! EOF while it moves: no folio ever reaches past EOF, and no reader sees bytes that were never
//! written.
//!
//! The core may split a folio at any time, and it drops pages past EOF as if they had been written
//! back (`__folio_freeze_and_split_unmapped()` in mm/huge_memory.c). An inode without writeback
//! would lose them.

use super::policy::{folios, held};
use crate::area::{Area, Kind};
use crate::context::{has_large_folios, needs_large_folios, Context, P, PMD};
use crate::outcome::{Result, Stop};
use crate::race::race_for;
use crate::{cases, check, check_eq, check_err};
use rmmap_procfs::Fields;
use rmmap_sys::rustix::event::{poll, PollFd, PollFlags, Timespec};
use rmmap_sys::rustix::fs::{fallocate, fstat, ftruncate, FallocateFlags};
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::rustix::mm::{Advice, MprotectFlags, ProtFlags};
use rmmap_sys::uapi::RMMAP_CREATE_ALWAYS;
use rmmap_sys::userfaultfd::{Mode, Userfaultfd};
use rmmap_sys::{Device, Errno, MapOptions, Mapping};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

cases! {
    File stalled_write_leaves_nothing_past_eof [] "a growing write(2) that waits for its source adds no folio that reaches past EOF to the page cache: every folio there can be split", 60;
    File failed_write_never_grows_the_file [] "a growing write(2) whose source ends half-way: the file is never longer than the bytes written", 60;
    Rmmap failed_write_past_eof_keeps_the_size [] "write(2) past EOF into the last page, which is resident, from memory that is not accessible: EFAULT, and the size stays";
    File appends_race_with_reads [] "read(2) at EOF sees the appended bytes, never zeroes", 60;
    Rmmap truncation_races_with_reads [] "read(2) during ftruncate(2) of a file of single pages returns no zeroes in place of truncated bytes", 60;
    Rmmap failed_truncation_changes_nothing [] "ftruncate(2) into a large folio that a pipe holds: EBUSY, and size, bytes, pages and mappings stay";
    Rmmap truncation_waits_for_short_references [] "ftruncate(2) into a large folio that a pipe holds for a moment waits for it, and succeeds";
    Rmmap hole_in_a_held_folio_is_zeroed [] "a hole in a large folio that a pipe holds: zeroes there and nowhere else, and its pages stay";
    Reload last_page_of_a_file_is_truncated [] "the last page below 2^63: written, kept by a failed write, freed by ftruncate(2)";
}

/// Returns source memory with only its first page resident.
fn source(pages: usize) -> Result<Mapping> {
    let source = MapOptions::new(pages * P).private().map_anonymous()?;
    if has_large_folios() {
        source.advise(0, source.len(), Advice::LinuxNoHugepage)?;
    }
    source.touch_write(0, 0xa5)?;
    Ok(source)
}

/// Waits until an access to the memory that `uffd` watches has stalled.
fn wait_for_stall(cx: &Context, uffd: &Userfaultfd) -> Result {
    let timeout = Timespec {
        tv_sec: (10.0 * cx.time_scale) as i64,
        tv_nsec: 0,
    };
    let n = poll(&mut [PollFd::new(uffd, PollFlags::IN)], Some(&timeout))?;
    check_eq!(n, 1, "accesses that stalled");
    Ok(())
}

fn stalled_write_leaves_nothing_past_eof(cx: &Context) -> Result {
    let uffd = match Userfaultfd::new() {
        Err(Errno::PERM) => return Err(Stop::skip("needs CAP_SYS_PTRACE: run it as root")),
        uffd => uffd?,
    };
    let area = cx.area(0)?;
    let source = source(PMD / P)?;
    uffd.register(&source, Mode::Missing)?;
    scope(|scope| -> Result {
        let writer = scope.spawn(|| source.pwrite_from(0, PMD, &area, 0));
        let stalled = wait_for_stall(cx, &uffd);
        let page = MapOptions::new(P).map(&area)?;
        let size = fstat(&area)?.st_size as usize;
        // Either the first page is present, or none. Discarding a part of a large folio splits it.
        let first = page.touch_read(0);
        let split = page.advise(0, P, Advice::LinuxCold);
        // Resolve the stalled access with a page of zeroes.
        drop(uffd);
        let written = writer.join().expect("the writer does not panic");
        stalled?;
        split?;
        check!(
            matches!((size, &first), (0, Err(_)) | (P, Ok(0xa5))),
            "the size is {size} while the writer waits, and the first byte {first:?}"
        );
        check_eq!(written?, PMD);
        Ok(())
    })?;
    check_eq!(fstat(&area)?.st_size as usize, PMD);
    check_eq!(area.held_pages()?, PMD / P);
    let bytes = area.read(0, PMD)?;
    check_eq!(bytes[0], 0xa5);
    check!(
        bytes[1..].iter().all(|byte| *byte == 0),
        "bytes from elsewhere"
    );
    Ok(())
}

fn failed_write_never_grows_the_file(cx: &Context) -> Result {
    const GOOD: usize = PMD / 2 + 100;
    let source = MapOptions::new(PMD).private().map_anonymous()?;
    // The last readable page is a VMA of its own, which ends at GOOD rounded up.
    let readable = GOOD.next_multiple_of(P);
    for page in 0..readable / P {
        source.touch_write(page, 1)?;
    }
    source.protect(readable, PMD - readable, MprotectFlags::empty())?;
    let area = cx.area(0)?;
    let most = AtomicUsize::new(0);
    let watch = |_, stop: &AtomicBool| -> Result {
        while !stop.load(Ordering::Relaxed) {
            most.fetch_max(fstat(&area)?.st_size as usize, Ordering::Relaxed);
        }
        Ok(())
    };
    let write = || -> Result {
        check_eq!(source.pwrite_from(0, PMD, &area, 0)?, readable);
        check_eq!(fstat(&area)?.st_size as usize, readable);
        // A memfd keeps the page that the failed write added.
        if area.is_rmmap() {
            check_eq!(area.held_pages()?, readable / P);
        }
        ftruncate(&area, 0)?;
        let none = source.pwrite_from(readable, P, &area, 0);
        check_err!(none, Errno::FAULT);
        check_eq!(fstat(&area)?.st_size, 0);
        if area.is_rmmap() {
            check_eq!(area.held_pages()?, 0);
        }
        Ok(())
    };
    // A fast writer finishes many rounds before the watcher first runs: continue until it has run.
    let seen = || most.load(Ordering::Relaxed) > 0;
    race_for(Duration::from_secs(2), 1, watch, write, seen)?;
    let most = most.into_inner();
    check!(
        most <= readable,
        "the largest size that was seen is {most}, and {readable} bytes were written"
    );
    Ok(())
}

/// Reads with two threads for some seconds while `change` runs.
fn race_with_reads(
    seconds: u64,
    read: impl Fn() -> Result + Sync,
    change: impl FnMut() -> Result,
) -> Result {
    let reads = AtomicUsize::new(0);
    let work = |_, stop: &AtomicBool| -> Result {
        while !stop.load(Ordering::Relaxed) {
            read()?;
            reads.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let enough = || reads.load(Ordering::Relaxed) > 1000;
    race_for(Duration::from_secs(seconds), 2, work, change, enough)
}

fn appends_race_with_reads(cx: &Context) -> Result {
    // The file only grows: truncation would be another race, and a memfd loses that one.
    const MOST: usize = 128 << 20;
    let area = cx.area(0)?;
    let end = AtomicUsize::new(0);
    let read = || -> Result {
        let mut buffer = [0; P];
        let at = end.load(Ordering::Acquire);
        let n = pread(&area, &mut buffer, at as u64)?;
        check!(
            buffer[..n].iter().all(|byte| *byte == 0xab),
            "{n} bytes at {at} that are not all 0xab"
        );
        Ok(())
    };
    race_with_reads(12, read, || {
        let at = end.load(Ordering::Acquire);
        if at < MOST {
            pwrite(&area, &[0xab; P], at as u64)?;
            end.store(at + P, Ordering::Release);
        }
        Ok(())
    })
}

fn truncation_races_with_reads(cx: &Context) -> Result {
    const PAGES: usize = 8;
    // Truncation first zeroes the part of a large folio past the new EOF, then splits the folio,
    // then sets the size: a read may see the intermediate state. A memfd shows zeroes even with
    // single pages.
    let area = cx.single_pages(PAGES)?;
    let read = || -> Result {
        let mut buffer = [0; 8];
        let n = pread(&area, &mut buffer, (PAGES / 2 * P) as u64)?;
        check!(
            n == 0 || buffer == [0x77; 8],
            "{n} bytes: {:x?}",
            &buffer[..n]
        );
        Ok(())
    };
    pwrite(&area, &[0x77; PAGES * P], 0)?;
    race_with_reads(8, read, || {
        pwrite(&area, &[0x77; PAGES * P], 0)?;
        ftruncate(&area, P as u64)?;
        Ok(())
    })
}

fn failed_write_past_eof_keeps_the_size(cx: &Context) -> Result {
    let region = cx.device()?.create(100, 0)?;
    check_eq!(pwrite(&region, &[1], 0)?, 1);
    let source = MapOptions::new(P)
        .private()
        .prot(ProtFlags::empty())
        .map_anonymous()?;
    check_err!(source.pwrite_from(0, 100, &region, 200), Errno::FAULT);
    check_eq!(fstat(&region)?.st_size, 100);
    Ok(())
}

/// Pages of a region that has a folio of 64 pages and one of 32.
const PAGES: usize = 96;

/// Makes such a region, full of bytes.
fn of_two_folios(cx: &Context) -> Result<(Device, Mapping, Vec<u8>)> {
    needs_large_folios()?;
    let region = cx
        .device()?
        .create((PAGES * P) as u64, RMMAP_CREATE_ALWAYS)?;
    let bytes: Vec<u8> = (0..PAGES * P).map(|i| (i / 100) as u8 | 1).collect();
    check_eq!(pwrite(&region, &bytes, 0)?, bytes.len());
    check_eq!(folios(&region)?, [(5, 1), (6, 1)]);
    let mapping = MapOptions::new(PAGES * P).map(&region)?;
    Ok((region, mapping, bytes))
}

/// Checks the contents of a region, by read(2) and through a mapping.
fn check_bytes(region: &Device, mapping: &Mapping, expected: &[u8]) -> Result {
    check_eq!(fstat(region)?.st_size as usize, expected.len());
    let mut bytes = vec![0; expected.len() + 1];
    check_eq!(pread(region, &mut bytes, 0)?, expected.len());
    let wrong = (0..expected.len()).find(|i| bytes[*i] != expected[*i]);
    check_eq!(wrong, None, "the first byte that changed");
    for page in 0..expected.len() / P {
        check_eq!(
            mapping.touch_read(page)?,
            expected[page * P],
            "page {page} of the mapping"
        );
    }
    Ok(())
}

fn failed_truncation_changes_nothing(cx: &Context) -> Result {
    for page in [3, 40, 63] {
        for size in [33 * P, 33 * P + 50] {
            let (region, mapping, mut bytes) = of_two_folios(cx)?;
            let pipe = mapping.hold_page(page)?;
            check_err!(ftruncate(&region, size as u64), Errno::BUSY);
            check_bytes(&region, &mapping, &bytes)?;
            check_eq!(held(&region)?, PAGES);
            drop(pipe);
            ftruncate(&region, size as u64)?;
            check_eq!(held(&region)?, size.div_ceil(P));
            ftruncate(&region, (PAGES * P) as u64)?;
            bytes[size..].fill(0);
            check_bytes(&region, &mapping, &bytes)?;
        }
    }
    Ok(())
}

/// Returns how often this thread has given up its processor to wait.
fn waits_of_this_thread() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/status")
        .map_err(|e| Stop::fail(format_args!("/proc/thread-self/status: {e}")))?;
    Fields::parse(&text)
        .get("voluntary_ctxt_switches")
        .ok_or_else(|| Stop::fail("the thread's status has no voluntary_ctxt_switches"))
}

fn truncation_waits_for_short_references(cx: &Context) -> Result {
    // The pipe may be closed before the truncation begins, or too late: try again then.
    for _ in 0..20 {
        let (region, mapping, _) = of_two_folios(cx)?;
        let pipe = mapping.hold_page(40)?;
        let waited = scope(|scope| -> Result<bool> {
            scope.spawn(move || {
                sleep(Duration::from_millis(20));
                drop(pipe);
            });
            let before = waits_of_this_thread()?;
            match ftruncate(&region, 33 * P as u64) {
                Err(Errno::BUSY) => Ok(false),
                result => {
                    result?;
                    Ok(waits_of_this_thread()? > before)
                }
            }
        })?;
        if waited {
            check_eq!(held(&region)?, 33);
            return Ok(());
        }
    }
    Err(Stop::fail("no truncation waited for the pipe to be closed"))
}

fn hole_in_a_held_folio_is_zeroed(cx: &Context) -> Result {
    let (region, mapping, mut bytes) = of_two_folios(cx)?;
    let pipe = mapping.hold_page(40)?;
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(&region, punch, (30 * P + 10) as u64, (5 * P) as u64)?;
    bytes[30 * P + 10..35 * P + 10].fill(0);
    check_bytes(&region, &mapping, &bytes)?;
    region.discard((38 * P) as u64, (8 * P) as u64)?;
    bytes[38 * P..46 * P].fill(0);
    check_bytes(&region, &mapping, &bytes)?;
    check_eq!(held(&region)?, PAGES);
    drop(pipe);
    region.discard(0, (PAGES * P) as u64)?;
    check_eq!(held(&region)?, 0);
    Ok(())
}

fn last_page_of_a_file_is_truncated(cx: &Context) -> Result {
    let most = i64::MAX as u64 & !(P as u64 - 1);
    cx.loader()?.reload_with(&[&format!("max_bytes={most}")])?;
    let area = Area::new(Kind::Region, 0)?;
    // The largest size that RLIMIT_FSIZE allows: the last page is the one before it.
    let last = most - P as u64;
    check_eq!(pwrite(&area, &[1; P], last)?, P);
    check_eq!(area.held_pages()?, 1);
    check_eq!(fstat(&area)?.st_size as u64, most);
    let nothing = MapOptions::new(P)
        .private()
        .prot(ProtFlags::empty())
        .map_anonymous()?;
    check_err!(nothing.pwrite_from(0, P, &area, last), Errno::FAULT);
    check_eq!(fstat(&area)?.st_size as u64, most);
    ftruncate(&area, 0)?;
    check_eq!(area.held_pages()?, 0);
    Ok(())
}
