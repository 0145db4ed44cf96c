// SPDX-License-Identifier: GPL-2.0

//! do_mmap() and __get_unmapped_area(): the addresses that each of them refuses.

use crate::apart::in_child;
use crate::context::{Context, P};
use crate::counting::Counting;
use crate::outcome::{Result, Stop};
use crate::sysctl::Sysctl;
use crate::view::{resident, smap, smap_at, status_kb, vma_pages};
use crate::{cases, check, check_counts, check_eq, check_err};
use rmmap_procfs::Process;
use rmmap_sys::map::MAP_32BIT;
use rmmap_sys::process::drop_capabilities;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{Device, Errno, MapOptions};

cases! {
    Each addresses_run_out ["DM-15"] "more than the address space, beyond its end, the kernel's addresses: ENOMEM, and the hook is not called";
    Each fixed_address_is_that_of_a_page ["DM-16"] "MAP_FIXED and MAP_FIXED_NOREPLACE at an odd address: EINVAL before EACCES";
    Rmmap lowest_addresses_take_privilege ["DM-17"] "below vm.mmap_min_addr: with CAP_SYS_RAWIO mapped, without EPERM";
    Each low_addresses_on_demand ["DM-18"] "MAP_32BIT: an address below 2 GiB";
    Each noreplace_replaces_nothing ["DM-19"] "MAP_FIXED_NOREPLACE over all of a mapping or a part: EEXIST, and it stays as it was";
}

/// The addresses that a program gets which does not ask for higher ones, and all that there are
/// with the most levels of page tables: 47 and 56 bits on x86-64, 48 and 52 on arm64.
const WINDOW: usize = 1 << if cfg!(target_arch = "x86_64") { 47 } else { 48 };
const ALL: usize = 1 << if cfg!(target_arch = "x86_64") { 56 } else { 52 };

fn addresses_run_out(cx: &Context) -> Result {
    let area = cx.area(1)?;
    let (count, size) = (area.count()?, status_kb("VmSize")?);
    let of = |len: usize| {
        MapOptions::new(len)
            .offset(area.base())
            .flags(MapFlags::NORESERVE)
    };
    // The second length is all that a search without a hint covers.
    for len in [1 << 57, WINDOW] {
        check_err!(of(len).map(&area), Errno::NOMEM, "{len:#x} bytes");
        check_err!(of(len).private().map(&area), Errno::NOMEM, "{len:#x} bytes");
        check_err!(of(len).map_anonymous(), Errno::NOMEM, "{len:#x} bytes");
    }
    let fixed_at = |address, len| of(len).hint(address).map_fixed(Some(&area));
    // The end of the address space depends on the number of page table levels. On x86 its last
    // page belongs to nobody (`TASK_SIZE_MAX` in asm/page_64.h).
    let end = match fixed_at(WINDOW, P) {
        Ok(_) => ALL,
        Err(_) => WINDOW,
    };
    let top = end - if cfg!(target_arch = "x86_64") { P } else { 0 };
    let fixed = [
        (top, P),
        (top - P, 2 * P),
        (top, 2 * P),
        (end, P),
        (0xffff_8880_0000_0000, P),
        (usize::MAX - P + 1, P),
        (end / 2, end),
    ];
    for (address, len) in fixed {
        check_err!(
            fixed_at(address, len),
            Errno::NOMEM,
            "{len:#x} bytes at {address:#x}"
        );
        let noreplace = of(len).flags(MapFlags::FIXED_NOREPLACE).hint(address);
        check_err!(
            noreplace.map(&area),
            Errno::NOMEM,
            "{len:#x} bytes at {address:#x}"
        );
    }
    check_eq!(status_kb("VmSize")?, size);
    check_counts!(count, mmap: u64::from(end > WINDOW));
    Ok(())
}

fn fixed_address_is_that_of_a_page(cx: &Context) -> Result {
    let area = cx.area(1)?;
    let reader = area.reopen(OFlags::RDONLY)?;
    let count = area.count()?;
    for offset in [1, 8, P - 1] {
        let mut window = cx.window(4)?;
        let odd = area.whole().hint(window.address() + offset);
        let noreplace = odd.flags(MapFlags::FIXED_NOREPLACE);
        check_err!(noreplace.map(&area), Errno::INVAL, "offset {offset}");
        check_err!(
            noreplace.map(&reader),
            Errno::INVAL,
            "offset {offset}, read-only"
        );
        check_err!(noreplace.private().map_anonymous(), Errno::INVAL);
        check_err!(
            window.map_over(offset, &area.whole(), Some(&area)),
            Errno::INVAL,
            "offset {offset}"
        );
        let mut window = cx.window(4)?;
        check_err!(
            window.map_over(offset, &area.whole(), Some(&reader)),
            Errno::INVAL,
            "offset {offset}, read-only"
        );
    }
    // The same without the offset, to see the next error.
    let mut window = cx.window(4)?;
    check_err!(
        window.map_over(0, &area.whole(), Some(&reader)),
        Errno::ACCESS
    );
    check_counts!(count, mmap: 0);
    Ok(())
}

fn lowest_addresses_take_privilege(cx: &Context) -> Result {
    cx.needs(CapabilitySet::SYS_RAWIO, "CAP_SYS_RAWIO")?;
    let region = cx.region(1)?;
    let _lowest = Sysctl::set("vm/mmap_min_addr", 0x10000)?;
    let at = |address| MapOptions::new(P).hint(address);
    for address in [0, 0x8000, 0x10000 - P] {
        let m = at(address).map_fixed(Some(&region))?;
        check_eq!(m.address(), address);
        check_eq!(smap(&m)?.map.range, address..address + P);
        m.touch_write(0, 7)?;
        check_eq!(resident(&m)?, 1);
        drop(m);
        at(address).private().map_fixed(None::<&std::fs::File>)?;
    }
    // Restoring the lowest address takes the same capability.
    in_child(|| lowest_addresses_without_privilege(&region))
}

fn lowest_addresses_without_privilege(region: &Device) -> Result {
    drop_capabilities(CapabilitySet::SYS_RAWIO)?;
    let count = Counting::new(Some(region))?;
    let at = |address| MapOptions::new(P).hint(address);
    for address in [0, 0x8000, 0x10000 - P] {
        let what = format!("{address:#x} without CAP_SYS_RAWIO");
        check_err!(at(address).map_fixed(Some(region)), Errno::PERM, "{what}");
        let noreplace = at(address).flags(MapFlags::FIXED_NOREPLACE);
        check_err!(noreplace.map(region), Errno::PERM, "{what}");
        check_err!(noreplace.private().map_anonymous(), Errno::PERM, "{what}");
        check!(
            Process::Myself.smap_at(address).is_err(),
            "{what}: a mapping is there"
        );
    }
    check_counts!(count, mmap: 0);
    // This is the lowest valid address.
    check_eq!(at(0x10000).map_fixed(Some(region))?.address(), 0x10000);
    Ok(())
}

fn low_addresses_on_demand(cx: &Context) -> Result {
    if !cfg!(target_arch = "x86_64") {
        return Err(Stop::skip("MAP_32BIT is of x86 alone"));
    }
    let area = cx.area(4)?;
    for options in [area.whole(), area.whole().private()] {
        let m = options.flags(MAP_32BIT).map(&area)?;
        let range = smap(&m)?.map.range;
        check_eq!(
            (range.start, range.end),
            (m.address(), m.address() + m.len())
        );
        check!(range.end <= 2 << 30, "the mapping ends at {:#x}", range.end);
        m.touch_write(3, 1)?;
        check!(
            options.map(&area)?.address() > 4 << 30,
            "without the flag it is as low"
        );
    }
    Ok(())
}

fn noreplace_replaces_nothing(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let mut window = cx.window(8)?;
    window.map_over(2 * P, &area.whole(), Some(&area))?;
    window.unmap(0, 2 * P)?;
    window.unmap(6 * P, 2 * P)?;
    for page in 2..6 {
        window.touch_write(page, page as u8)?;
    }
    let count = area.count()?;
    // All of it, its head, its tail, its middle, and more than it has.
    for (page, pages) in [(2, 4), (1, 2), (5, 2), (3, 1), (1, 6)] {
        let len = pages * P;
        let there = MapOptions::new(len).offset(area.base()).read_only();
        let there = there.flags(MapFlags::FIXED_NOREPLACE);
        let hint = there.hint(window.address_of(page * P));
        check_err!(hint.map(&area), Errno::EXIST, "{pages} pages at {page}");
        check_err!(
            hint.private().map_anonymous(),
            Errno::EXIST,
            "{pages} pages at {page}"
        );
        if page >= 2 && page + pages <= 6 {
            let fixed = window.map_over(page * P, &there, Some(&area));
            check_err!(
                fixed,
                Errno::EXIST,
                "{pages} pages at {page}, MAP_FIXED as well"
            );
        }
        check_eq!(vma_pages(&window)?, [(2, 6)]);
        check_eq!(smap_at(&window, 2)?.map.perms, "rw-s");
    }
    check_counts!(count, mmap: 0);
    for page in 2..6 {
        check_eq!(window.touch_read(page)?, page as u8);
    }
    Ok(())
}
