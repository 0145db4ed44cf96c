// SPDX-License-Identifier: GPL-2.0

//! Memory that reaches userspace is zeroed, no matter which process freed it.

use crate::area::Area;
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::resident;
use crate::{cases, check, check_counts, check_eq, check_sigbus};
use rmmap_sys::rustix::fs::{fallocate, ftruncate, FallocateFlags};
use rmmap_sys::rustix::mm::{Advice, MapFlags};
use rmmap_sys::Mapping;

cases! {
    Each new_memory_is_zero [] "pages that others filled before arrive zeroed: by touch, populate, copy and read";
    Each discarded_range_is_zero [] "after a discard the range is a hole for mappings and reads, the pages around it stay";
    Each discard_spares_private_copies [] "a discard takes the object's pages from a private mapping, not its copies";
    File punched_hole_is_zero [] "fallocate(PUNCH_HOLE): whole pages are freed, parts of pages are zeroed";
    File madvise_remove_punches [] "MADV_REMOVE on a mapping makes a hole that everyone sees";
    File truncated_part_is_zero [] "truncate down and up: zeroes, also past the new end within its page";
    File truncate_unmaps [] "truncate unmaps pages from all mappings and frees the memory";
}

/// Checks that all bytes of a mapping are zero.
#[track_caller]
fn check_zero(m: &Mapping) -> Result {
    let mut page = vec![0xff; P];
    for n in 0..m.pages() {
        m.read(n * P, &mut page)?;
        if let Some(at) = page.iter().position(|b| *b != 0) {
            check!(
                false,
                "byte {at} of page {n} is {:#x}, expected 0",
                page[at]
            );
        }
    }
    Ok(())
}

/// Returns an area whose pages are all filled with a byte, and a mapping of it.
#[track_caller]
fn filled(cx: &Context, pages: usize, byte: u8) -> Result<(Area, Mapping)> {
    fill(cx.area(pages)?, byte)
}

/// Returns the same in single pages, for tests that count mapped pages: when the kernel splits a
/// large folio, it unmaps all of it (`unmap_folio()` in mm/huge_memory.c).
fn filled_pages(cx: &Context, pages: usize, byte: u8) -> Result<(Area, Mapping)> {
    fill(cx.single_pages(pages)?, byte)
}

fn fill(area: Area, byte: u8) -> Result<(Area, Mapping)> {
    let m = area.map()?;
    m.write(0, &vec![byte; area.len()])?;
    Ok((area, m))
}

fn new_memory_is_zero(cx: &Context) -> Result {
    const PAGES: usize = 64;
    for round in 0..4 {
        // Free dirty pages to the allocator, which tends to reuse the last freed ones first.
        drop(filled(cx, PAGES, 0xff)?);
        let area = cx.area(PAGES)?;
        match round {
            0 => check_zero(&area.map()?)?,
            1 => check_zero(&area.whole().flags(MapFlags::POPULATE).map(&area)?)?,
            2 => {
                let m = area.whole().private().map(&area)?;
                (0..PAGES).try_for_each(|page| m.touch_write(page, 0))?;
                check_zero(&m)?;
            }
            _ => {
                let m = area.map()?;
                (0..PAGES).try_for_each(|page| m.touch_write(page, 0))?;
                check!(
                    area.read(0, PAGES * P)?.iter().all(|b| *b == 0),
                    "read returns other bytes"
                );
            }
        }
    }
    Ok(())
}

fn discarded_range_is_zero(cx: &Context) -> Result {
    let (area, m) = filled_pages(cx, 8, 0x5a)?;
    area.discard(2, 3)?;
    check_eq!((area.held_pages()?, resident(&m)?), (5, 5));
    drop((area, m));

    let (area, m) = filled(cx, 8, 0x5a)?;
    let count = area.count()?;
    area.discard(2, 3)?;
    check_counts!(count, discarded: 3 * P as u64);
    check_eq!(area.held_pages()?, 5);
    check_eq!(
        area.read(P, 5 * P)?.iter().filter(|b| **b == 0x5a).count(),
        2 * P
    );
    check_eq!(area.held_pages()?, 5, "pages after reading the hole");
    for page in 0..8 {
        let want = if (2..5).contains(&page) {
            0
        } else {
            0x5a5a_5a5a_5a5a_5a5a
        };
        check_eq!(m.read_u64(page * P)?, want, "the start of page {page}");
        check_eq!(
            m.read_u64(page * P + P - 8)?,
            want,
            "the end of page {page}"
        );
    }
    check_eq!(area.held_pages()?, 8);
    // Punch a hole into a hole.
    area.discard(0, 8)?;
    area.discard(0, 8)?;
    check_eq!((area.held_pages()?, resident(&m)?), (0, 0));
    check_zero(&m)
}

fn discard_spares_private_copies(cx: &Context) -> Result {
    let (area, m) = filled(cx, 4, 0x11)?;
    let private = area.whole().private().map(&area)?;
    private.touch_write(0, 0x22)?;
    check_eq!(private.touch_read(1)?, 0x11);
    area.discard(0, 4)?;
    check_eq!((private.touch_read(0)?, private.touch_read(1)?), (0x22, 0));
    check_eq!((m.touch_read(0)?, m.touch_read(1)?), (0, 0));
    Ok(())
}

/// Punches a hole.
fn punch(area: &Area, offset: usize, len: usize) -> rmmap_sys::Result<()> {
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(area, mode, offset as u64, len as u64)
}

fn punched_hole_is_zero(cx: &Context) -> Result {
    let (area, m) = filled(cx, 6, 0x33)?;
    // From the middle of page 1 to the middle of page 4: two whole pages, two parts.
    punch(&area, P + 100, 3 * P)?;
    check_eq!(area.held_pages()?, 4);
    let bytes = area.read(0, 6 * P)?;
    check_eq!(bytes.iter().position(|b| *b == 0), Some(P + 100));
    check_eq!(bytes.iter().rposition(|b| *b == 0), Some(4 * P + 99));
    check_eq!(bytes.iter().filter(|b| **b == 0).count(), 3 * P);
    check_eq!(
        (
            m.read_u64(P + 104)?,
            m.read_u64(3 * P)?,
            m.read_u64(4 * P + 88)?
        ),
        (0, 0, 0)
    );
    check_eq!(m.touch_read(1)?, 0x33);
    // Past EOF there is nothing to punch, and the size stays.
    punch(&area, 5 * P, 100 * P)?;
    punch(&area, 200 * P, P)?;
    check_eq!(rmmap_sys::rustix::fs::fstat(&area)?.st_size, 6 * P as i64);
    check_eq!(m.touch_read(5)?, 0);
    Ok(())
}

fn madvise_remove_punches(cx: &Context) -> Result {
    let (area, m) = filled_pages(cx, 6, 0x44)?;
    let other = area.map()?;
    check_eq!(other.touch_read(3)?, 0x44);
    m.advise(2 * P, 2 * P, Advice::LinuxRemove)?;
    check_eq!((area.held_pages()?, resident(&m)?), (4, 4));
    check_eq!(
        (
            other.touch_read(2)?,
            other.touch_read(3)?,
            other.touch_read(4)?
        ),
        (0, 0, 0x44)
    );
    Ok(())
}

fn truncated_part_is_zero(cx: &Context) -> Result {
    let (area, m) = filled(cx, 4, 0x55)?;
    ftruncate(&area, P as u64 + 100)?;
    check_eq!(area.held_pages()?, 2);
    // Past EOF, within the last page: zeroes, as POSIX requires of a mapping.
    check_eq!((m.read_u64(P + 104)?, m.read_u64(2 * P - 8)?), (0, 0));
    check_eq!(m.read_u64(P + 88)?, 0x5555_5555_5555_5555);
    // The kernel zeroes bytes stored there when the file grows over them.
    m.write_u64(P + 2000, u64::MAX)?;
    ftruncate(&area, 4 * P as u64)?;
    let bytes = area.read(P, 3 * P)?;
    check!(
        bytes[..100].iter().all(|b| *b == 0x55),
        "bytes before the old end changed"
    );
    let stray = bytes[100..].iter().position(|b| *b != 0);
    if area.is_rmmap() {
        check_eq!(stray, None, "a byte past the former end");
    }
    check_eq!((m.touch_read(2)?, m.touch_read(3)?), (0, 0));
    Ok(())
}

fn truncate_unmaps(cx: &Context) -> Result {
    let (area, m) = filled_pages(cx, 8, 0x66)?;
    let (other, private) = (area.map()?, area.whole().private().map(&area)?);
    for page in 0..8 {
        check_eq!(
            (other.touch_read(page)?, private.touch_read(page)?),
            (0x66, 0x66)
        );
    }
    private.touch_write(6, 0x77)?;
    let count = area.count()?;
    ftruncate(&area, 3 * P as u64)?;
    check_counts!(count, discarded: 5 * P as u64);
    check_eq!(
        (area.held_pages()?, resident(&m)?, resident(&other)?),
        (3, 3, 3)
    );
    // The truncation zaps private copies as well: they lie past EOF.
    check_eq!(resident(&private)?, 3);
    for m in [&m, &other, &private] {
        check_sigbus!(m.touch_read(3), m.address_of(3 * P));
        check_sigbus!(m.touch_write(7, 1), m.address_of(7 * P));
    }
    ftruncate(&area, 8 * P as u64)?;
    for m in [&m, &other, &private] {
        check_eq!(
            (m.touch_read(2)?, m.touch_read(3)?, m.touch_read(6)?),
            (0x66, 0, 0)
        );
    }
    Ok(())
}
