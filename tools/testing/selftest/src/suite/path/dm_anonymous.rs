// SPDX-License-Identifier: GPL-2.0

//! do_mmap() without a file: types and offsets; and remap_file_pages(2), which calls it.

use crate::context::{Context, P, PMD};
use crate::outcome::{Result, Stop};
use crate::view::{check_flags, residency, smap, vma_pages, vmas};
use crate::{cases, check_counts, check_eq, check_err};
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::{Errno, MapOptions, Mapping};
use std::fs::File;

cases! {
    Rmmap anonymous_types_are_few ["DM-43"] "anonymous memory of other types, MAP_SHARED_VALIDATE among them, or shared and growing: EINVAL";
    Rmmap anonymous_offset_is_not_the_callers ["DM-44"] "shared: offset 0 for every requested offset; private: neighbours merge at unrelated offsets";
    Rmmap droppable_memory ["DM-45"] "MAP_DROPPABLE: `dp nr wf dd`, no `ac`; not locked, not growing, not huge";
    Each pages_in_another_order ["DM-49"] "remap_file_pages: the VMA is split, and the page shows another one of the object, populated";
}

/// No file: anonymous memory.
const NONE: Option<&File> = None;

fn anonymous(flags: MapFlags) -> MapOptions {
    MapOptions::new(4 * P).only_flags(flags)
}

fn anonymous_types_are_few(_: &Context) -> Result {
    let shared = anonymous(MapFlags::SHARED);
    check_err!(
        shared.flags(MapFlags::GROWSDOWN).map_anonymous(),
        Errno::INVAL
    );
    for kind in [0].into_iter().chain(3..16).filter(|kind| *kind != 8) {
        let options = anonymous(MapFlags::from_bits_retain(kind));
        check_err!(options.map_anonymous(), Errno::INVAL, "type {kind}");
        check_err!(
            options.read_only().map_anonymous(),
            Errno::INVAL,
            "type {kind}"
        );
    }
    check_eq!(
        MapFlags::SHARED_VALIDATE.bits(),
        3,
        "the type that only files have"
    );
    check_flags(&shared.map_anonymous()?, &["sh", "ms"], &["gd"])
}

fn anonymous_offset_is_not_the_callers(cx: &Context) -> Result {
    let shared = anonymous(MapFlags::SHARED).offset(5 * P as u64);
    let mut window = cx.window(8)?;
    window.map_over(0, &shared, NONE)?;
    let map = &vmas(&window)?[0];
    check_eq!(map.offset, 0, "the offset of shared memory");
    check_eq!(map.name.as_deref(), Some("/dev/zero (deleted)"));
    // In an object of four pages, page 5 would be SIGBUS.
    for page in 0..4 {
        window.touch_write(page, 1)?;
    }

    let mut window = cx.window(8)?;
    let private = anonymous(MapFlags::PRIVATE);
    window.map_over(0, &private.offset(7 * P as u64), NONE)?;
    check_eq!(vma_pages(&window)?, [(0, 4)]);
    window.map_over(4 * P, &private.offset(100 * P as u64), NONE)?;
    check_eq!(
        vma_pages(&window)?,
        [(0, 8)],
        "two neighbours with unrelated offsets"
    );
    check_eq!(vmas(&window)?[0].offset, 0, "the offset of private memory");
    for page in 0..8 {
        window.touch_write(page, page as u8)?;
    }
    check_eq!((window.touch_read(3)?, window.touch_read(4)?), (3, 4));
    Ok(())
}

fn droppable_memory(_: &Context) -> Result {
    let droppable = anonymous(MapFlags::DROPPABLE);
    let m = match droppable.map_anonymous() {
        Err(Errno::OPNOTSUPP) => return Err(Stop::skip("this kernel drops no memory")),
        m => m?,
    };
    check_eq!(smap(&m)?.map.perms, "rw-p");
    check_flags(&m, &["dp", "nr", "wf", "dd"], &["ac", "sh", "ms", "lo"])?;
    m.touch_write(0, 7)?;
    check_eq!(m.touch_read(0)?, 7);
    let private = anonymous(MapFlags::PRIVATE).map_anonymous()?;
    check_flags(&private, &["ac"], &["dp", "nr", "wf", "dd"])?;
    for more in [MapFlags::LOCKED, MapFlags::GROWSDOWN] {
        check_err!(
            droppable.flags(more).map_anonymous(),
            Errno::INVAL,
            "with {more:?}"
        );
    }
    // With huge pages it is a mapping of a file, for which this type is invalid; a valid mapping
    // needs a pool of huge pages.
    let huge = MapOptions::new(PMD).only_flags(MapFlags::DROPPABLE | MapFlags::HUGETLB);
    check_err!(huge.map_anonymous(), Errno::INVAL, "with MAP_HUGETLB");
    Ok(())
}

/// Returns the offsets of the VMAs in a mapping, in pages of the object from `base` on.
fn offsets(m: &Mapping, base: u64) -> Result<Vec<u64>> {
    Ok(vmas(m)?
        .iter()
        .map(|map| (map.offset - base) / P as u64)
        .collect())
}

fn pages_in_another_order(cx: &Context) -> Result {
    let area = cx.single_pages(8)?;
    for page in 0..8 {
        area.write(page * P, &[0x10 + page as u8])?;
    }
    let mut m = area.map()?;
    check_eq!(residency(&m)?, [false; 8]);
    let (first, count) = ((area.base() / P as u64) as usize, area.count()?);
    m.remap_file_pages(0..P, first + 6)?;
    check_eq!(vma_pages(&m)?, [(0, 1), (1, 8)]);
    check_eq!(offsets(&m, area.base())?, [6, 1]);
    check_flags(&m, &["sh", "ms", "rd", "wr"], &["lo"])?;
    // This page is populated without a touch, and no other.
    let mut resident = [false; 8];
    resident[0] = true;
    check_eq!(residency(&m)?, resident);
    // Fault-around found the cached page: the kernel did not call the handler.
    check_counts!(count, mmap: 1, map_pages: 1);
    check_eq!(m.touch_read(0)?, 0x16);
    m.touch_write(0, 0x66)?;
    check_eq!(
        (
            area.read(6 * P, 1)?[0],
            area.read(0, 1)?[0],
            m.touch_read(6)?
        ),
        (0x66, 0x10, 0x66)
    );

    // remap_file_pages(2) refuses a range that wraps around (DM-08), and any private mapping.
    check_err!(m.remap_file_pages(P..2 * P, usize::MAX), Errno::INVAL);
    let mut private = area.whole().private().map(&area)?;
    check_err!(private.remap_file_pages(0..P, first + 6), Errno::INVAL);
    check_eq!(vma_pages(&m)?, [(0, 1), (1, 8)]);
    Ok(())
}
