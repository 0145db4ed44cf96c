// SPDX-License-Identifier: GPL-2.0

//! Merging, splitting, mapping over: the VMAs that the kernel creates, and how often it calls the
//! hook.
//!
//! With the `mmap` hook the kernel merges first and does not call it; with `mmap_prepare` it calls
//! the hook first. The counts differ, the VMAs do not.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{check_flags, resident, vma_pages};
use crate::{cases, check_eq};
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::{Advice, MapFlags, MprotectFlags};
use rmmap_sys::uapi::RMMAP_HOOK_PREPARE;
use rmmap_sys::Mapping;

cases! {
    Each adjacent_mappings_merge ["MR-14", "MR-15"] "four adjacent mappings are one VMA; the mmap hook runs once, mmap_prepare four times";
    Each adjacent_private_mappings_merge ["MR-14"] "the same with private mappings";
    Each mapping_merges_on_both_sides ["MR-17"] "a mapping between two others makes one VMA of three";
    Each refilled_hole_merges ["MR-17"] "a hole that is made and filled again leaves one VMA";
    Each different_mappings_do_not_merge ["MR-16"] "another offset, protection, lock, open file: two VMAs";
    Each mprotect_splits_and_merges [] "mprotect of the middle makes three VMAs, back again one; contents stay";
    Each advice_splits_and_merges [] "MADV_RANDOM on the middle makes three VMAs, back again one";
    Each map_over_replaces ["MR-08"] "MAP_FIXED over the whole, the middle, several VMAs and a hole";
    Each map_over_own_object ["MR-08"] "MAP_FIXED of the same object at another offset shows that offset";
    Each munmap_splits ["MR-08"] "munmap of the middle leaves two VMAs that work";
    Each offset_and_length_are_kept ["MR-21"] "maps shows offset, rounded length and name";
}

/// Checks how often the hook ran: `merged` of the calls merged with a neighbour.
#[track_caller]
fn check_hook(
    area: &Area,
    count: &crate::counting::Counting<'_>,
    calls: u64,
    merged: u64,
) -> Result {
    let Some(got) = count.get("mmap")? else {
        return Ok(());
    };
    let prepare = area.fd().info()?.hook == RMMAP_HOOK_PREPARE;
    let want = if prepare { calls } else { calls - merged };
    crate::outcome::equal("calls of the hook", &got, &want)
}

/// Maps pages of an area at their offset in a window, one call for each range.
fn map_ranges(area: &Area, window: &mut Mapping, ranges: &[(usize, usize)]) -> Result {
    for (start, end) in ranges {
        area.map_at(window, *start, area.part(*start, end - start))?;
    }
    Ok(())
}

fn adjacent_mappings_merge(cx: &Context) -> Result {
    let area = cx.area(16)?;
    let mut w = cx.window(16)?;
    let count = area.count()?;
    map_ranges(&area, &mut w, &[(0, 4), (4, 8), (8, 12), (12, 16)])?;
    check_eq!(vma_pages(&w)?, [(0, 16)]);
    check_hook(&area, &count, 4, 3)?;
    for page in 0..16 {
        w.touch_write(page, page as u8 + 1)?;
    }
    check_eq!((area.read(15 * P, 1)?[0], area.held_pages()?), (16, 16));
    Ok(())
}

fn adjacent_private_mappings_merge(cx: &Context) -> Result {
    let area = cx.area(16)?;
    area.write(0, &[7; 16 * P])?;
    let mut w = cx.window(16)?;
    let count = area.count()?;
    for page in [0, 4, 8, 12] {
        area.map_at(&mut w, page, area.part(page, 4).private())?;
    }
    check_eq!(vma_pages(&w)?, [(0, 16)]);
    check_hook(&area, &count, 4, 3)?;
    w.touch_write(13, 1)?;
    check_eq!(
        (
            w.touch_read(12)?,
            w.touch_read(13)?,
            area.read(13 * P, 1)?[0]
        ),
        (7, 1, 7)
    );
    Ok(())
}

fn mapping_merges_on_both_sides(cx: &Context) -> Result {
    let area = cx.area(12)?;
    let mut w = cx.window(12)?;
    let count = area.count()?;
    map_ranges(&area, &mut w, &[(0, 4), (8, 12)])?;
    check_eq!(vma_pages(&w)?, [(0, 4), (8, 12)]);
    w.touch_write(0, 1)?;
    w.touch_write(11, 2)?;
    map_ranges(&area, &mut w, &[(4, 8)])?;
    check_eq!(vma_pages(&w)?, [(0, 12)]);
    check_hook(&area, &count, 3, 1)?;
    check_eq!(
        (w.touch_read(0)?, w.touch_read(5)?, w.touch_read(11)?),
        (1, 0, 2)
    );
    Ok(())
}

fn refilled_hole_merges(cx: &Context) -> Result {
    let area = cx.single_pages(16)?;
    let mut w = cx.window(16)?;
    map_ranges(&area, &mut w, &[(0, 16)])?;
    w.touch_write(5, 5)?;
    w.unmap(4 * P, 4 * P)?;
    check_eq!(vma_pages(&w)?, [(0, 4), (8, 16)]);
    let count = area.count()?;
    w.fill(4 * P, &area.part(4, 4), Some(&area))?;
    check_eq!(vma_pages(&w)?, [(0, 16)]);
    check_hook(&area, &count, 1, 1)?;
    check_eq!((w.touch_read(5)?, area.held_pages()?), (5, 1));
    Ok(())
}

fn different_mappings_do_not_merge(cx: &Context) -> Result {
    let area = cx.area(16)?;
    let second = match area.kind() {
        Kind::Device => rmmap_sys::Device::open()?,
        Kind::Region | Kind::Memfd => area.reopen(OFlags::RDWR)?,
    };
    let next = [
        ("a gap in the offset", area.part(5, 4)),
        ("another protection", area.part(4, 4).read_only()),
        ("locked", area.part(4, 4).flags(MapFlags::LOCKED)),
        ("private", area.part(4, 4).private()),
    ];
    for (what, options) in next {
        let mut w = cx.window(8)?;
        map_ranges(&area, &mut w, &[(0, 4)])?;
        let count = area.count()?;
        area.map_at(&mut w, 4, options)?;
        check_eq!(vma_pages(&w)?, [(0, 4), (4, 8)], "VMAs with {what}");
        check_hook(&area, &count, 1, 0)?;
    }
    let mut w = cx.window(8)?;
    map_ranges(&area, &mut w, &[(0, 4)])?;
    let count = area.count()?;
    w.map_over(4 * P, &area.part(4, 4), Some(&second))?;
    check_hook(&area, &count, 1, 0)?;
    check_eq!(
        vma_pages(&w)?,
        [(0, 4), (4, 8)],
        "VMAs with another open file"
    );
    Ok(())
}

fn mprotect_splits_and_merges(cx: &Context) -> Result {
    let area = cx.area(12)?;
    let m = area.map()?;
    for page in 0..12 {
        m.touch_write(page, page as u8)?;
    }
    m.protect(4 * P, 4 * P, MprotectFlags::READ)?;
    check_eq!(vma_pages(&m)?, [(0, 4), (4, 8), (8, 12)]);
    let fault = m.touch_write(5, 1);
    check_eq!(fault.map_err(|f| f.signal), Err(rmmap_sys::Signal::Segv));
    check_eq!((m.touch_read(5)?, m.touch_read(9)?), (5, 9));
    m.touch_write(3, 1)?;
    m.protect(4 * P, 4 * P, MprotectFlags::READ | MprotectFlags::WRITE)?;
    check_eq!(vma_pages(&m)?, [(0, 12)]);
    m.touch_write(5, 6)?;
    check_eq!(
        (
            m.touch_read(5)?,
            m.touch_read(4)?,
            resident(&m)?,
            area.held_pages()?
        ),
        (6, 4, 12, 12)
    );
    m.protect(0, m.len(), MprotectFlags::empty())?;
    check_eq!(
        m.touch_read(0).map_err(|f| f.signal),
        Err(rmmap_sys::Signal::Segv)
    );
    m.protect(0, m.len(), MprotectFlags::READ)?;
    check_eq!(m.touch_read(11)?, 11);
    Ok(())
}

fn advice_splits_and_merges(cx: &Context) -> Result {
    let area = cx.area(12)?;
    let m = area.map()?;
    m.advise(4 * P, 4 * P, Advice::Random)?;
    check_eq!(vma_pages(&m)?, [(0, 4), (4, 8), (8, 12)]);
    m.touch_write(5, 5)?;
    m.advise(4 * P, 4 * P, Advice::Normal)?;
    check_eq!((vma_pages(&m)?, m.touch_read(5)?), (vec![(0, 12)], 5));
    m.advise(0, m.len(), Advice::Sequential)?;
    check_flags(&m, &["sr"], &["rr"])?;
    Ok(())
}

fn map_over_replaces(cx: &Context) -> Result {
    let (area, other) = (cx.area(12)?, cx.other_area(12)?);
    let mut w = cx.window(12)?;
    map_ranges(&area, &mut w, &[(0, 12)])?;
    for page in 0..12 {
        w.touch_write(page, 0xaa)?;
    }
    other.map_at(&mut w, 4, other.part(0, 4))?;
    check_eq!(vma_pages(&w)?, [(0, 4), (4, 8), (8, 12)]);
    check_eq!(
        (w.touch_read(3)?, w.touch_read(4)?, w.touch_read(8)?),
        (0xaa, 0, 0xaa)
    );
    w.touch_write(5, 0xbb)?;
    // Across several VMAs and a hole.
    w.unmap(9 * P, P)?;
    check_eq!(vma_pages(&w)?, [(0, 4), (4, 8), (8, 9), (10, 12)]);
    w.fill(9 * P, &other.part(9, 1), Some(&other))?;
    other.map_at(&mut w, 2, other.part(0, 9))?;
    check_eq!(vma_pages(&w)?, [(0, 2), (2, 11), (11, 12)]);
    check_eq!((w.touch_read(3)?, w.touch_read(11)?), (0xbb, 0xaa));
    // Over the whole window.
    area.map_at(&mut w, 0, area.whole())?;
    check_eq!((vma_pages(&w)?, w.touch_read(5)?), (vec![(0, 12)], 0xaa));
    check_eq!((area.held_pages()?, other.read(P, 1)?[0]), (12, 0xbb));
    Ok(())
}

fn map_over_own_object(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let mut w = cx.window(8)?;
    map_ranges(&area, &mut w, &[(0, 8)])?;
    for page in 0..8 {
        w.touch_write(page, page as u8)?;
    }
    area.map_at(&mut w, 2, area.part(6, 2))?;
    check_eq!(vma_pages(&w)?, [(0, 2), (2, 4), (4, 8)]);
    check_eq!(
        (w.touch_read(2)?, w.touch_read(3)?, w.touch_read(6)?),
        (6, 7, 6)
    );
    w.touch_write(3, 0x70)?;
    check_eq!(w.touch_read(7)?, 0x70);
    Ok(())
}

fn munmap_splits(cx: &Context) -> Result {
    let area = cx.single_pages(12)?;
    let mut m = area.map()?;
    m.touch_write(6, 6)?;
    m.unmap(4 * P, 4 * P)?;
    check_eq!(vma_pages(&m)?, [(0, 4), (8, 12)]);
    m.touch_write(3, 3)?;
    m.touch_write(8, 8)?;
    check_eq!(
        (
            area.read(6 * P, 1)?[0],
            area.read(8 * P, 1)?[0],
            area.held_pages()?
        ),
        (6, 8, 3)
    );
    m.unmap(0, 12 * P)?;
    check_eq!((vma_pages(&m)?.len(), area.held_pages()?), (0, 3));
    Ok(())
}

fn offset_and_length_are_kept(cx: &Context) -> Result {
    let area = cx.area(16)?;
    let odd = rmmap_sys::MapOptions::new(P + 1).offset(area.base() + 7 * P as u64);
    let m = odd.map(&area)?;
    let maps = crate::view::vmas(&m)?;
    check_eq!(maps.len(), 1);
    check_eq!(maps[0].range, m.address()..m.address_of(2 * P));
    check_eq!(maps[0].offset, area.base() + 7 * P as u64);
    check_eq!(maps[0].perms, "rw-s");
    let name = maps[0].name.clone().unwrap_or_default();
    let want = match area.kind() {
        Kind::Device => "/dev/rmmap",
        Kind::Region => "/rmmap (deleted)",
        Kind::Memfd => "/memfd:rmmap-selftest (deleted)",
    };
    check_eq!(name, want);
    m.touch_write(1, 8)?;
    check_eq!(area.read(8 * P, 1)?, [8]);
    Ok(())
}
