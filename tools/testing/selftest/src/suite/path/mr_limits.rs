// SPDX-License-Identifier: GPL-2.0

//! mmap_region() and the size of a process: RLIMIT_AS, RLIMIT_DATA, vm.max_map_count, and the
//! accounting.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::rlimit::Limit;
use crate::sysctl::Sysctl;
use crate::view::{kb, status_kb, vma_count, vma_pages};
use crate::{cases, check_eq, check_err};
use rmmap_sys::rustix::process::Resource;
use rmmap_sys::{Errno, Mapping};

cases! {
    Rmmap address_space_limit ["MR-05"] "RLIMIT_AS: a mapping within it succeeds, pages that MAP_FIXED replaces are not counted twice";
    Rmmap address_space_limit_keeps_victims ["MR-06"] "MAP_FIXED beyond RLIMIT_AS: ENOMEM, victims intact, though split";
    Rmmap data_limit ["MR-07"] "RLIMIT_DATA counts private writable mappings of the device, no others";
    Rmmap map_count_limit_keeps_victim ["MR-09"] "MAP_FIXED inside a VMA at vm.max_map_count: ENOMEM, victim intact";
    Rmmap sizes_are_counted ["MR-34"] "VmSize counts each mapping, VmData the private writable one only";
}

/// Returns the size of this process, bytes. It reads it twice, because the first read may grow the
/// heap.
#[track_caller]
fn size() -> Result<u64> {
    status_kb("VmSize")?;
    Ok(status_kb("VmSize")? * 1024)
}

/// Converts pages to bytes.
const fn bytes(pages: usize) -> u64 {
    (pages * P) as u64
}

/// Stores in each page its number, from 1.
fn number(m: &Mapping, pages: usize) -> Result {
    for page in 0..pages {
        m.touch_write(page, page as u8 + 1)?;
    }
    Ok(())
}

/// Checks that the first pages hold the numbers that [`number`] stored.
#[track_caller]
fn check_numbers(m: &Mapping, pages: usize) -> Result {
    let read = |page| m.touch_read(page);
    let got = (0..pages)
        .map(read)
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let want: Vec<u8> = (1..=pages as u8).collect();
    crate::outcome::equal("the first bytes of pages", &got, &want)
}

fn address_space_limit(cx: &Context) -> Result {
    let area = Area::new(Kind::Device, 32)?;
    let mut w = cx.window(20)?;
    area.map_at(&mut w, 0, area.part(0, 16))?;

    let limit = Limit::set(Resource::As, size()? + bytes(4))?;
    let five = area.part(0, 5).map(&area);
    let four = area.part(0, 4).map(&area);
    let one = area.part(0, 1).map(&area);
    let same = w.map_over(0, &area.part(16, 16), Some(&area));
    drop(limit);
    check_err!(five, Errno::NOMEM, "mapping 5 pages where 4 fit");
    four?;
    check_err!(one, Errno::NOMEM, "mapping a page at the limit");
    same?;
    check_eq!(vma_pages(&w)?, [(0, 16)]);

    let limit = Limit::set(Resource::As, size()?)?;
    // The call first unmaps 4 reserved pages: they fit, and 20 in place of 16 is 4 more.
    let more = w.map_over_hole(16 * P..20 * P, 0, &area.part(0, 20), Some(&area));
    let one = area.part(0, 1).map(&area);
    drop(limit);
    more?;
    check_err!(one, Errno::NOMEM, "mapping a page at the limit");
    check_eq!(vma_pages(&w)?, [(0, 20)]);
    w.touch_write(19, 1)?;
    check_eq!(area.read(19 * P, 1)?, [1]);
    Ok(())
}

fn address_space_limit_keeps_victims(cx: &Context) -> Result {
    let area = Area::new(Kind::Device, 32)?;
    for (first, split) in [(0, vec![(0, 16)]), (8, vec![(0, 8), (8, 16)])] {
        let mut w = cx.window(32)?;
        area.map_at(&mut w, 0, area.part(0, 16))?;
        number(&w, 16)?;
        let count = area.count()?;
        let (len, hole) = (32 - first, 16 * P..32 * P);
        // 16 pages less after the unmapping: at the limit.
        let limit = Limit::set(Resource::As, size()? - bytes(16))?;
        let result = w.map_over_hole(hole, first * P, &area.part(0, len), Some(&area));
        drop(limit);
        check_err!(result, Errno::NOMEM, "mapping {len} pages from {first} on");
        check_eq!(vma_pages(&w)?, split, "VMAs after that");
        check_numbers(&w, 16)?;
        check_eq!(count.get("mmap")?, Some(0), "calls of the hook");
    }
    Ok(())
}

fn data_limit(_: &Context) -> Result {
    let area = Area::new(Kind::Device, 16)?;
    // Not 0, which stands for the hard limit (a workaround for Valgrind).
    let limit = Limit::set(Resource::Data, bytes(1))?;
    let private = area.whole().private().map(&area);
    let shared = area.map();
    let read_only = area.whole().private().read_only().map(&area);
    drop(limit);
    check_err!(private, Errno::NOMEM, "mapping private writable pages");
    check_eq!(vma_pages(&shared?)?, [(0, 16)]);
    check_eq!(vma_pages(&read_only?)?, [(0, 16)]);
    // Without the limit the call succeeds.
    let private = area.whole().private().map(&area)?;
    check_eq!(vma_pages(&private)?, [(0, 16)]);
    Ok(())
}

fn map_count_limit_keeps_victim(cx: &Context) -> Result {
    let area = Area::new(Kind::Device, 16)?;
    let mut w = cx.window(12)?;
    area.map_at(&mut w, 0, area.part(0, 12))?;
    number(&w, 12)?;
    let middle = area.part(12, 4);
    let whole = area.part(0, 12);
    // Open the file first: the number of VMAs must not change between counting and mapping.
    let sysctl = Sysctl::set("vm/max_map_count", 1 << 16)?;
    let own = vma_count()?;
    sysctl.change(own)?;
    let inside = w.map_over(4 * P, &middle, Some(&area));
    let over_all = w.map_over(0, &whole, Some(&area));
    drop(sysctl);
    check_err!(inside, Errno::NOMEM, "mapping inside a VMA at the limit");
    over_all?;
    check_eq!(vma_pages(&w)?, [(0, 12)]);
    check_numbers(&w, 12)?;

    let sysctl = Sysctl::set("vm/max_map_count", 1 << 16)?;
    let own = vma_count()?;
    sysctl.change(own)?;
    // One VMA becomes two: the kernel allows that, one above the limit.
    let at_end = w.map_over(8 * P, &middle, Some(&area));
    sysctl.change(own + 2)?;
    // There is room for the two VMAs that this adds.
    let inside = w.map_over(2 * P, &area.part(13, 2), Some(&area));
    drop(sysctl);
    at_end?;
    inside?;
    check_eq!(vma_pages(&w)?, [(0, 2), (2, 4), (4, 8), (8, 12)]);
    Ok(())
}

fn sizes_are_counted(_: &Context) -> Result {
    let area = Area::new(Kind::Device, 16)?;
    let sizes = || -> Result<_> { Ok((status_kb("VmSize")?, status_kb("VmData")?)) };
    sizes()?;
    let (size, data) = sizes()?;
    let shared = area.map()?;
    check_eq!(sizes()?, (size + kb(16), data), "VmSize, VmData");
    let private = area.whole().private().map(&area)?;
    check_eq!(sizes()?, (size + kb(32), data + kb(16)), "VmSize, VmData");
    let read_only = area.whole().private().read_only().map(&area)?;
    check_eq!(sizes()?, (size + kb(48), data + kb(16)), "VmSize, VmData");
    drop((shared, private, read_only));
    check_eq!(sizes()?, (size, data), "VmSize, VmData after munmap");
    Ok(())
}
