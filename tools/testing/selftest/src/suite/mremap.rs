// SPDX-License-Identifier: GPL-2.0

//! mremap: grow, shrink, move, keep.

use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{resident, vma_pages, vmas};
use crate::{cases, check, check_counts, check_eq, check_err};
use rmmap_sys::rustix::mm::MremapFlags;
use rmmap_sys::Errno;

cases! {
    Each mremap_grows_in_place [] "growing where there is room keeps the address and shows the next pages of the object";
    Each mremap_moves_to_grow [] "growing where there is no room moves the mapping; bytes and object stay, the old address is free";
    Each mremap_shrinks [] "shrinking unmaps the tail, whose bytes the object keeps";
    Each mremap_over_another_mapping [] "MREMAP_FIXED replaces the mapping at its target";
    Each mremap_keeps_old_range [] "MREMAP_DONTUNMAP: the old range is still mapped and faults its pages again";
    Each mremap_duplicates_shared_mapping [] "an old size of 0 makes a second mapping of the same pages";
    Each mremap_private_takes_copies_along [] "copies of a private mapping move with it";
}

fn mremap_grows_in_place(cx: &Context) -> Result {
    let area = cx.area(8)?;
    area.write(6 * P, &[6])?;
    let mut window = cx.window(8)?;
    area.map_at(&mut window, 0, area.part(0, 2))?;
    window.touch_write(1, 1)?;
    // Unmap the rest of the window, so that the mapping has room to grow.
    let mut m = window.move_part(0..2 * P, 2 * P, false)?;
    window.unmap(2 * P, 6 * P)?;
    let count = area.count()?;
    let address = m.address();
    m.resize(8 * P, MremapFlags::empty())?;
    check_eq!((m.address(), m.pages()), (address, 8));
    check_eq!((m.touch_read(1)?, m.touch_read(6)?), (1, 6));
    check_eq!(vma_pages(&m)?, [(0, 8)]);
    check_eq!(
        count.get("mmap")?.unwrap_or(0),
        0,
        "calls of the hook for mremap"
    );
    m.touch_write(7, 7)?;
    check_eq!(area.read(7 * P, 1)?, [7]);
    Ok(())
}

fn mremap_moves_to_grow(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let mut window = cx.window(8)?;
    area.map_at(&mut window, 0, area.part(0, 4))?;
    for page in 0..4 {
        window.touch_write(page, 0x10 + page as u8)?;
    }
    let mut m = window.move_part(0..4 * P, 4 * P, false)?;
    check_err!(m.resize(8 * P, MremapFlags::empty()), Errno::NOMEM);
    let (address, count) = (m.address(), area.count()?);
    m.resize(8 * P, MremapFlags::MAYMOVE)?;
    check!(m.address() != address, "it stayed where there was no room");
    check_eq!(resident(&m)?, 4, "page table entries that moved along");
    for page in 0..4 {
        check_eq!(m.touch_read(page)?, 0x10 + page as u8);
    }
    check_counts!(count, mmap: 0);
    check_eq!(m.touch_read(7)?, 0);
    let maps = rmmap_procfs::Process::Myself.maps()?;
    check!(
        maps.iter().all(|map| !map.range.contains(&address)),
        "the old address is still mapped"
    );
    Ok(())
}

fn mremap_shrinks(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let mut m = area.map()?;
    for page in 0..8 {
        m.touch_write(page, page as u8)?;
    }
    m.resize(3 * P, MremapFlags::empty())?;
    check_eq!((vma_pages(&m)?, m.touch_read(2)?), (vec![(0, 3)], 2));
    check_eq!((area.held_pages()?, area.read(7 * P, 1)?[0]), (8, 7));
    Ok(())
}

fn mremap_over_another_mapping(cx: &Context) -> Result {
    let (area, other) = (cx.other_area(8)?, cx.area(8)?);
    let mut source = area.map()?;
    source.touch_write(2, 0x22)?;
    let mut target = other.map()?;
    target.touch_write(1, 0x11)?;
    target.touch_write(4, 0x44)?;
    source.move_over(2 * P..4 * P, &mut target, P, MremapFlags::empty())?;
    check_eq!((target.touch_read(1)?, target.touch_read(4)?), (0x22, 0x44));
    target.touch_write(2, 0x33)?;
    check_eq!(area.read(3 * P, 1)?, [0x33]);
    check_eq!(
        other.read(P, 1)?,
        [0x11],
        "the object that was mapped there before"
    );
    check_eq!(vma_pages(&source)?, [(0, 2), (4, 8)]);
    check_eq!(vma_pages(&target)?, [(0, 1), (1, 3), (3, 8)]);
    Ok(())
}

fn mremap_keeps_old_range(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let mut m = area.map()?;
    for page in 0..4 {
        m.touch_write(page, 0x60 + page as u8)?;
    }
    let new = m.move_part(0..4 * P, 4 * P, true)?;
    check_eq!((resident(&new)?, resident(&m)?), (4, 0));
    check_eq!(vmas(&m)?.len(), 1);
    for page in 0..4 {
        check_eq!(
            (new.touch_read(page)?, m.touch_read(page)?),
            (0x60 + page as u8, 0x60 + page as u8)
        );
    }
    m.touch_write(2, 1)?;
    check_eq!((new.touch_read(2)?, area.held_pages()?), (1, 4));
    Ok(())
}

fn mremap_duplicates_shared_mapping(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    let mut m = area.map()?;
    m.touch_write(2, 5)?;
    let second = m.move_part(2 * P..2 * P, 2 * P, false)?;
    check_eq!(second.touch_read(0)?, 5);
    second.touch_write(1, 6)?;
    check_eq!((m.touch_read(3)?, area.held_pages()?), (6, 2));
    Ok(())
}

fn mremap_private_takes_copies_along(cx: &Context) -> Result {
    let area = cx.area(4)?;
    area.write(0, &[8; 4 * P])?;
    let mut m = area.whole().private().map(&area)?;
    m.touch_write(1, 9)?;
    m.resize(64 * P, MremapFlags::MAYMOVE)?;
    check_eq!(
        (m.touch_read(0)?, m.touch_read(1)?, m.touch_read(2)?),
        (8, 9, 8)
    );
    check_eq!(area.read(P, 1)?, [8]);
    Ok(())
}
