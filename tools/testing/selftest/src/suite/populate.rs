// SPDX-License-Identifier: GPL-2.0

//! Allocation in advance: MAP_POPULATE and MADV_POPULATE_READ/WRITE.

use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{cached, check_flags, faults_of_stores, kb, resident, resident_in, smap};
use crate::{cases, check_counts, check_eq, check_err};
use rmmap_sys::rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use rmmap_sys::Errno;

cases! {
    Each populate_shared_is_exact ["MK-07", "PO-08"] "MAP_POPULATE of a shared mapping: read faults, all pages; a store later takes none";
    Each populate_private_writable_copies ["MK-07", "PO-07"] "MAP_POPULATE of a private writable mapping: write faults, anonymous pages only";
    Each populate_private_readonly_does_not_copy ["PO-07"] "MAP_POPULATE of a private read-only mapping: pages of the object";
    Each populate_nonblock_is_lazy ["MK-08"] "MAP_POPULATE with MAP_NONBLOCK, and MAP_NONBLOCK alone, allocate nothing";
    Each populate_part_only ["PO-01", "MR-14"] "a populated mapping that merges with a lazy one populates its own range";
    Each populate_none_when_not_accessible ["PO-06"] "PROT_NONE with MAP_POPULATE succeeds with nothing resident";
    Each populate_write_only ["PO-09"] "PROT_WRITE alone is populated";
    Each populate_again_allocates_nothing ["PO-12"] "populating pages that are present maps them and adds none";
    Each populate_hole_among_pages [] "populating fills the holes between present pages, whose bytes stay";
    Each madvise_populate_read [] "MADV_POPULATE_READ makes exactly the range resident, by read faults";
    Each madvise_populate_write [] "MADV_POPULATE_WRITE makes exactly the range resident and dirty, by write faults";
    Each madvise_populate_private [] "MADV_POPULATE_READ and _WRITE of a private mapping: the object's pages, then copies";
    Each madvise_populate_write_needs_write [] "MADV_POPULATE_WRITE of a read-only mapping is EINVAL and allocates nothing";
}

/// Pages that these tests map.
const PAGES: usize = 16;

fn populate_shared_is_exact(cx: &Context) -> Result {
    let area = cx.single_pages(2 * PAGES)?;
    let count = area.count()?;
    let m = area.part(0, PAGES).flags(MapFlags::POPULATE).map(&area)?;
    check_eq!(
        (resident(&m)?, cached(&m)?, area.held_pages()?),
        (PAGES, PAGES, PAGES)
    );
    let n = PAGES as u64;
    check_counts!(count, fault_read: n, fault_populate: n, answer_new: n, folios: n, mmap: 1);
    check_flags(&m, &["sh", "ms"], &["lo"])?;
    check_eq!(crate::view::locked_kb()?, 0);
    // smaps cannot show that no page table entry is dirty: both rmmap and memfd mark pages dirty
    // when they add them, since their contents exist nowhere else.
    let faults = faults_of_stores(&m)?;
    if area.is_rmmap() {
        check_eq!(faults, 0, "faults of stores to populated pages");
    }
    check_counts!(count, fault_read: n, fault_populate: n, answer_new: n);
    Ok(())
}

fn populate_private_writable_copies(cx: &Context) -> Result {
    let area = cx.area(PAGES)?;
    let count = area.count()?;
    let m = area
        .part(0, 8)
        .private()
        .flags(MapFlags::POPULATE)
        .map(&area)?;
    check_eq!(resident(&m)?, 8);
    check_eq!(smap(&m)?.kb("Anonymous"), kb(8));
    check_flags(&m, &[], &["sh", "lo"])?;
    check_counts!(count, fault_cow: 8, fault_populate: 8, answer_zero: 8, folios: 0);
    if area.is_rmmap() {
        check_eq!(
            area.held_pages()?,
            0,
            "pages of the object, twice the memory if there are any"
        );
    }
    for page in 0..8 {
        check_eq!(m.touch_read(page)?, 0);
    }
    check_eq!(faults_of_stores(&m)?, 0);
    Ok(())
}

fn populate_private_readonly_does_not_copy(cx: &Context) -> Result {
    let area = cx.single_pages(PAGES)?;
    let count = area.count()?;
    let m = area
        .part(0, 8)
        .private()
        .read_only()
        .flags(MapFlags::POPULATE)
        .map(&area)?;
    check_eq!(resident(&m)?, 8);
    check_eq!(smap(&m)?.kb("Anonymous"), 0);
    check_counts!(count, fault_read: 8, fault_populate: 8, answer_new: 8, folios: 8);
    check_eq!(area.held_pages()?, 8);
    Ok(())
}

fn populate_nonblock_is_lazy(cx: &Context) -> Result {
    // rustix has no name for it, because it does nothing without MAP_POPULATE.
    let nonblock = MapFlags::from_bits_retain(0x10000);
    let area = cx.area(PAGES)?;
    let count = area.count()?;
    for flags in [nonblock, nonblock | MapFlags::POPULATE] {
        let m = area.whole().flags(flags).map(&area)?;
        check_eq!(resident(&m)?, 0, "pages resident with flags {flags:?}");
    }
    check_counts!(count, mmap: 2, folios: 0, map_pages: 0);
    check_eq!(area.held_pages()?, 0);
    Ok(())
}

fn populate_part_only(cx: &Context) -> Result {
    let area = cx.single_pages(8)?;
    let mut window = cx.window(8)?;
    area.map_at(&mut window, 0, area.part(0, 4))?;
    area.map_at(&mut window, 4, area.part(4, 4).flags(MapFlags::POPULATE))?;
    check_eq!(crate::view::vma_pages(&window)?, [(0, 8)]);
    check_eq!(
        (resident_in(&window, 0, 4)?, resident_in(&window, 4, 4)?),
        (0, 4)
    );
    check_eq!(area.held_pages()?, 4);
    Ok(())
}

fn populate_none_when_not_accessible(cx: &Context) -> Result {
    let area = cx.single_pages(8)?;
    let count = area.count()?;
    let m = area
        .whole()
        .prot(ProtFlags::empty())
        .flags(MapFlags::POPULATE)
        .map(&area)?;
    check_eq!((resident(&m)?, area.held_pages()?), (0, 0));
    check_counts!(count, folios: 0);
    // It is nevertheless a mapping of the object.
    m.protect(0, m.len(), MprotectFlags::READ | MprotectFlags::WRITE)?;
    m.touch_write(3, 1)?;
    check_eq!(area.held_pages()?, 1);
    Ok(())
}

fn populate_write_only(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let m = area
        .whole()
        .prot(ProtFlags::WRITE)
        .flags(MapFlags::POPULATE)
        .map(&area)?;
    check_eq!((resident(&m)?, area.held_pages()?), (8, 8));
    Ok(())
}

fn populate_again_allocates_nothing(cx: &Context) -> Result {
    let area = cx.single_pages(64)?;
    let first = area.whole().flags(MapFlags::POPULATE).map(&area)?;
    let count = area.count()?;
    let m = area.whole().flags(MapFlags::POPULATE).map(&area)?;
    check_eq!((resident(&m)?, area.held_pages()?), (64, 64));
    // Fault-around maps the neighbours: the kernel does not call the handler.
    check_counts!(count, mmap: 1, folios: 0);
    first.touch_write(33, 3)?;
    check_eq!(m.touch_read(33)?, 3);
    Ok(())
}

fn populate_hole_among_pages(cx: &Context) -> Result {
    let area = cx.single_pages(PAGES)?;
    for page in (0..PAGES).step_by(3) {
        area.write(page * P + 100, &[page as u8 + 1])?;
    }
    let held = area.held_pages()?;
    let count = area.count()?;
    let m = area.whole().flags(MapFlags::POPULATE).map(&area)?;
    check_eq!((held, resident(&m)?, area.held_pages()?), (6, PAGES, PAGES));
    if let Some(new) = count.get("answer_new")? {
        check_eq!(new as usize, PAGES - held, "pages added for holes");
    }
    for page in 0..PAGES {
        let want = if page % 3 == 0 { page as u64 + 1 } else { 0 };
        check_eq!(m.read_u64(page * P + 100)?, want, "bytes of page {page}");
    }
    Ok(())
}

fn madvise_populate_read(cx: &Context) -> Result {
    let area = cx.single_pages(PAGES)?;
    let m = area.map()?;
    let count = area.count()?;
    m.advise(4 * P, 8 * P, Advice::LinuxPopulateRead)?;
    check_eq!(
        (resident(&m)?, resident_in(&m, 4, 8)?, area.held_pages()?),
        (8, 8, 8)
    );
    check_counts!(count, fault_read: 8, fault_populate: 8, answer_new: 8, folios: 8);
    Ok(())
}

fn madvise_populate_write(cx: &Context) -> Result {
    let area = cx.single_pages(PAGES)?;
    let m = area.map()?;
    let count = area.count()?;
    m.advise(4 * P, 8 * P, Advice::LinuxPopulateWrite)?;
    check_eq!(
        (resident(&m)?, resident_in(&m, 4, 8)?, area.held_pages()?),
        (8, 8, 8)
    );
    check_counts!(count, fault_write: 8, fault_populate: 8, answer_new: 8, folios: 8);
    check_eq!(
        smap(&m)?.kb("Private_Dirty") + smap(&m)?.kb("Shared_Dirty"),
        kb(8)
    );
    Ok(())
}

fn madvise_populate_private(cx: &Context) -> Result {
    let area = cx.single_pages(PAGES)?;
    let m = area.whole().private().map(&area)?;
    let count = area.count()?;
    m.advise(0, 4 * P, Advice::LinuxPopulateRead)?;
    check_eq!(
        (resident(&m)?, smap(&m)?.kb("Anonymous"), area.held_pages()?),
        (4, 0, 4)
    );
    check_counts!(count, fault_read: 4, fault_populate: 4, answer_new: 4, folios: 4);
    let count = area.count()?;
    m.advise(0, 8 * P, Advice::LinuxPopulateWrite)?;
    check_eq!((resident(&m)?, smap(&m)?.kb("Anonymous")), (8, kb(8)));
    // The core copies the four mapped pages; for the other four it calls the handler.
    check_counts!(count, fault_cow: 4, fault_populate: 4, answer_zero: 4, folios: 0);
    if area.is_rmmap() {
        check_eq!(area.held_pages()?, 4);
    }
    Ok(())
}

fn madvise_populate_write_needs_write(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let m = area.whole().read_only().map(&area)?;
    check_err!(
        m.advise(0, m.len(), Advice::LinuxPopulateWrite),
        Errno::INVAL
    );
    check_eq!((resident(&m)?, area.held_pages()?), (0, 0));
    Ok(())
}
