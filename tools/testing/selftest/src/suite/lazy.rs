// SPDX-License-Identifier: GPL-2.0

//! Lazy allocation: one page per touch, one fault per page, and fault-around.

use crate::area::Area;
use crate::context::{needs_large_folios, Context, AROUND, P, PMD};
use crate::outcome::Result;
use crate::view::{cached, faults_of_stores, kb, residency, resident, resident_in};
use crate::{cases, check_counts, check_eq};
use rmmap_sys::rustix::mm::Advice;
use rmmap_sys::MapOptions;

cases! {
    Each mmap_allocates_nothing ["MK-05"] "after mmap nothing is resident; a touch allocates one page, with one fault";
    Each write_touch_takes_one_fault_per_page ["MK-05"] "every first store is one fault and one new page, in any order";
    Each read_touch_then_store_takes_one_fault ["PO-08", "MR-40"] "a page that was read in a shared writable mapping is written without a fault";
    Each fault_around_maps_resident_neighbours ["MK-06"] "one read maps the pages of 64 KiB around it that the object holds";
    Each folio_at_eof_needs_no_page_table ["MK-06"] "one read maps the last 64 KiB of a file, with a page table or without";
    Each fault_around_stays_in_page_table ["MK-06"] "a read of the last page of a page table maps one page";
    Each fault_around_allocates_nothing ["MK-06"] "holes among resident neighbours stay holes";
    Each random_advice_maps_one_page [] "with MADV_RANDOM or without, a read of a hole adds one page";
    Rmmap large_mapping_is_aligned [] "the kernel aligns a mapping of some megabytes for huge pages: address and offset agree";
    Each second_mapping_shares_pages [] "a second mapping finds the pages of the first: no new one, the same bytes";
}

fn mmap_allocates_nothing(cx: &Context) -> Result {
    let area = cx.single_pages(16)?;
    let count = area.count()?;
    let m = area.map()?;
    check_eq!((resident(&m)?, cached(&m)?, area.held_pages()?), (0, 0, 0));
    check_counts!(count, mmap: 1, folios: 0, map_pages: 0);

    check_eq!(m.touch_read(5)?, 0);
    check_eq!(m.touch_read(5)?, 0);
    check_eq!((resident(&m)?, cached(&m)?, area.held_pages()?), (1, 1, 1));
    check_eq!(residency(&m)?.iter().position(|r| *r), Some(5));
    check_counts!(count, fault_read: 1, answer_new: 1, folios: 1, mmap: 1);
    Ok(())
}

fn write_touch_takes_one_fault_per_page(cx: &Context) -> Result {
    let area = cx.single_pages(64)?;
    let m = area.map()?;
    let count = area.count()?;
    check_eq!(faults_of_stores(&m)?, 64);
    check_eq!((resident(&m)?, area.held_pages()?), (64, 64));
    check_counts!(count, fault_write: 64, answer_new: 64, folios: 64);
    Ok(())
}

fn read_touch_then_store_takes_one_fault(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let m = area.map()?;
    for page in 0..8 {
        m.touch_read(page)?;
    }
    check_eq!(resident(&m)?, 8);
    let count = area.count()?;
    let faults = faults_of_stores(&m)?;
    check_counts!(count);
    if area.is_rmmap() {
        check_eq!(faults, 0, "faults of stores to mapped pages");
    }
    check_eq!(
        crate::view::smap(&m)?.kb("Shared_Dirty") + crate::view::smap(&m)?.kb("Private_Dirty"),
        kb(8)
    );
    Ok(())
}

fn fault_around_maps_resident_neighbours(cx: &Context) -> Result {
    // The page after these keeps their folio away from EOF, see the test below.
    let area = cx.area(AROUND + 1)?;
    let filled = area.map()?;
    for page in 0..AROUND {
        filled.touch_write(page, page as u8)?;
    }
    let mut window = cx.window(AROUND + 1)?;
    area.map_at(&mut window, 0, area.whole())?;
    check_eq!((cached(&window)?, resident(&window)?), (AROUND, 0));
    let count = area.count()?;
    check_eq!(window.touch_read(0)?, 0);
    check_eq!(resident(&window)?, AROUND);
    // Fault-around mapped the neighbours without a call of the handler.
    check_counts!(count, map_pages: 1, folios: 0);
    check_eq!(window.touch_read(AROUND - 1)?, AROUND as u8 - 1);
    check_counts!(count, map_pages: 1, folios: 0);
    Ok(())
}

/// `filemap_map_pages()` (`mm/filemap.c`) calls `filemap_map_pmd()`, which installs the page table,
/// only for a folio that ends before the last page of the file. Where a folio reaches EOF and the
/// page table is missing, it maps nothing, and the core calls the handler.
fn folio_at_eof_needs_no_page_table(cx: &Context) -> Result {
    let area = cx.area(AROUND)?;
    let filled = area.map()?;
    for page in 0..AROUND {
        filled.touch_write(page, page as u8)?;
    }
    // No other mapping shares this page table: it is missing at the first fault.
    let mut alone = cx.window(PMD / P)?;
    area.map_at(&mut alone, 0, area.whole())?;
    check_eq!(alone.touch_read(3)?, 3);
    check_eq!(
        (resident_in(&alone, 0, AROUND)?, area.held_pages()?),
        (AROUND, AROUND)
    );
    // Here a page of anonymous memory brings the page table.
    let mut shared = cx.window(PMD / P)?;
    let anonymous = MapOptions::new(P).private();
    shared.map_over(AROUND * P, &anonymous, None::<&Area>)?;
    shared.touch_write(AROUND, 1)?;
    area.map_at(&mut shared, 0, area.whole())?;
    let count = area.count()?;
    check_eq!(shared.touch_read(3)?, 3);
    check_eq!(resident_in(&shared, 0, AROUND)?, AROUND);
    check_counts!(count, map_pages: 1, folios: 0);
    Ok(())
}

fn fault_around_stays_in_page_table(cx: &Context) -> Result {
    let area = cx.single_pages(AROUND)?;
    let filled = area.map()?;
    for page in 0..AROUND {
        filled.touch_write(page, page as u8)?;
    }
    // The mapping begins with the last page of a page table.
    let last = PMD / P - 1;
    let mut window = cx.window(last + AROUND)?;
    area.map_at(&mut window, last, area.whole())?;
    check_eq!(window.touch_read(last)?, 0);
    check_eq!(resident(&window)?, 1);
    check_eq!(window.touch_read(last + AROUND / 2)?, AROUND as u8 / 2);
    check_eq!(resident(&window)?, AROUND);
    Ok(())
}

fn fault_around_allocates_nothing(cx: &Context) -> Result {
    const LAST: usize = AROUND - 1;
    let area = cx.single_pages(AROUND)?;
    area.write(P, &[1])?;
    area.write(LAST * P, &[9])?;
    let mut window = cx.window(AROUND)?;
    area.map_at(&mut window, 0, area.whole())?;
    check_eq!(window.touch_read(1)?, 1);
    check_eq!(residency(&window)?.iter().filter(|r| **r).count(), 2);
    check_eq!((resident_in(&window, LAST, 1)?, area.held_pages()?), (1, 2));
    Ok(())
}

fn random_advice_maps_one_page(cx: &Context) -> Result {
    for advice in [Advice::Normal, Advice::Random, Advice::LinuxNoHugepage] {
        let area = cx.single_pages(32)?;
        let m = area.map()?;
        // A kernel without transparent huge pages does not know this advice.
        let _ = m.advise(0, m.len(), advice);
        m.touch_read(7)?;
        m.touch_write(21, 1)?;
        check_eq!(
            (resident(&m)?, area.held_pages()?),
            (2, 2),
            "pages with {advice:?}"
        );
    }
    Ok(())
}

fn second_mapping_shares_pages(cx: &Context) -> Result {
    // The page after these keeps their folio away from EOF.
    let area = cx.area(AROUND + 1)?;
    let a = area.map()?;
    for page in 0..AROUND {
        a.touch_write(page, 0x40 + page as u8)?;
    }
    let count = area.count()?;
    let mut b = cx.window(AROUND + 1)?;
    area.map_at(&mut b, 0, area.whole())?;
    for page in 0..AROUND {
        check_eq!(b.touch_read(page)?, 0x40 + page as u8);
        b.touch_write(page, page as u8)?;
        check_eq!(a.touch_read(page)?, page as u8);
    }
    check_counts!(count, folios: 0, map_pages: 1);
    check_eq!(area.held_pages()?, AROUND);
    Ok(())
}

fn large_mapping_is_aligned(cx: &Context) -> Result {
    needs_large_folios()?;
    let region = cx.region(4 * PMD / P)?;
    for (len, offset) in [
        (4 * PMD, 0),
        (2 * PMD, PMD),
        (3 * PMD, 5 * P),
        (PMD + P, PMD - P),
    ] {
        let m = MapOptions::new(len).offset(offset as u64).map(&region)?;
        let inside = m.address() % PMD;
        check_eq!(
            inside,
            offset % PMD,
            "address within a huge page of {len:#x} bytes at {offset:#x}"
        );
    }
    Ok(())
}
