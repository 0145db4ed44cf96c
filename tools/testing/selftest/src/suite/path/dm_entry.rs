// SPDX-License-Identifier: GPL-2.0

//! do_mmap(), first checks: the length, the rounding of the address, the number of mappings.

use crate::context::{Context, P};
use crate::outcome::Result;
use crate::sysctl::Sysctl;
use crate::view::{locked_kb, status_kb, vma_count, vma_pages};
use crate::{cases, check, check_counts, check_eq, check_err};
use rmmap_procfs::Process;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rmmap_sys::{Errno, MapOptions};

cases! {
    Each nothing_is_not_mapped ["DM-02"] "length 0 is EINVAL, whatever else is wrong, and the hook is not called";
    Each noreplace_takes_the_very_address ["DM-05"] "MAP_FIXED_NOREPLACE in a gap between mappings: that address";
    Each hint_is_a_wish ["DM-06"] "a hint is rounded down to its page; over a mapping the kernel takes another address";
    Rmmap hint_below_the_lowest_address ["DM-06"] "a hint below vm.mmap_min_addr is raised to that; one in page 0 is ignored";
    Each length_that_wraps_is_no_memory ["DM-07"] "a length that rounds up to 0: ENOMEM before all other checks";
    Rmmap mapping_count_is_limited ["DM-09"] "vm.max_map_count: one more is mapped, then neither a new nor a merging nor a replacing one";
}

fn nothing_is_not_mapped(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let count = area.count()?;
    let reader = area.reopen(OFlags::RDONLY)?;
    let (size, locked) = (status_kb("VmSize")?, locked_kb()?);
    let flags = [
        MapFlags::empty(),
        MapFlags::POPULATE,
        MapFlags::LOCKED,
        MapFlags::from_bits_retain(0xf),
    ];
    for more in flags {
        let none = area.part(0, 0).flags(more);
        check_err!(none.map(&area), Errno::INVAL, "nothing, with {more:?}");
        check_err!(
            none.map(&reader),
            Errno::INVAL,
            "nothing of a read-only file"
        );
        check_err!(none.private().map(&area), Errno::INVAL);
        check_err!(none.map_anonymous(), Errno::INVAL);
    }
    check_counts!(count, mmap: 0);
    check_eq!((status_kb("VmSize")?, locked_kb()?), (size, locked));
    Ok(())
}

fn noreplace_takes_the_very_address(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let mut window = cx.window(8)?;
    window.unmap(2 * P, 4 * P)?;
    // `fill` asserts that the mapping is at the requested address.
    window.fill(3 * P, &area.part(1, 1), Some(&area))?;
    check_eq!(vma_pages(&window)?, [(3, 4)]);
    window.fill(4 * P, &area.part(2, 1), Some(&area))?;
    window.fill(2 * P, &area.part(3, 1), Some(&area))?;
    check_eq!(vma_pages(&window)?, [(2, 3), (3, 5)], "with neighbours");
    area.write(0, &[1])?;
    area.write(P, &[2])?;
    area.write(2 * P, &[3])?;
    check_eq!((window.touch_read(3)?, window.touch_read(4)?), (2, 3));
    Ok(())
}

fn hint_is_a_wish(cx: &Context) -> Result {
    let area = cx.area(2)?;
    let mut window = cx.window(8)?;
    window.unmap(2 * P, 4 * P)?;
    for hint in [window.address_of(2 * P), window.address_of(2 * P) + 0x123] {
        let m = area.whole().hint(hint).map(&area)?;
        check_eq!(
            m.address(),
            window.address_of(2 * P),
            "the address for the hint {hint:#x}"
        );
        check_eq!(vma_pages(&window)?, [(2, 4)]);
    }
    // Neither over a mapping nor partly over one.
    for page in [0, 1, 5, 6] {
        let m = area.whole().hint(window.address_of(page * P)).map(&area)?;
        let apart = m.address() + m.len() <= window.address()
            || m.address() >= window.address() + window.len();
        let in_hole = (2..=4).any(|page| m.address() == window.address_of(page * P));
        check!(
            apart || in_hole,
            "{:#x} overlaps an old mapping",
            m.address()
        );
        check!(m.address() != window.address_of(page * P));
        m.touch_write(0, 1)?;
    }
    Ok(())
}

fn hint_below_the_lowest_address(cx: &Context) -> Result {
    let device = cx.device()?;
    let lowest = Sysctl::set("vm/mmap_min_addr", 0x10000)?;
    let at = |hint: usize| MapOptions::new(P).hint(hint).map(&device);
    for hint in [P, 2 * P, 3 * P - 1, 0xffff] {
        let m = at(hint)?;
        check_eq!(m.address(), 0x10000, "the address for the hint {hint:#x}");
        check_eq!(
            Process::Myself.smap_at(0x10000)?.map.range,
            0x10000..0x10000 + P
        );
    }
    for hint in [0, 0x123, P - 1] {
        let address = at(hint)?.address();
        check!(address > 1 << 32, "the hint {hint:#x} gives {address:#x}");
    }
    lowest.change(0x20000)?;
    check_eq!(at(2 * P)?.address(), 0x20000);
    check_eq!(at(0x21234)?.address(), 0x21234 / P * P);
    Ok(())
}

fn length_that_wraps_is_no_memory(cx: &Context) -> Result {
    let area = cx.area(1)?;
    let count = area.count()?;
    let reader = area.reopen(OFlags::RDONLY)?;
    for len in [usize::MAX, usize::MAX - P + 2] {
        let options = MapOptions::new(len).offset(area.base());
        check_err!(options.map(&area), Errno::NOMEM, "length {len:#x}");
        check_err!(
            options.private().map(&area),
            Errno::NOMEM,
            "length {len:#x}"
        );
        check_err!(options.map_anonymous(), Errno::NOMEM, "length {len:#x}");
        // If the kernel rounded it first, an unaligned address would be EINVAL, and a read-only
        // object EACCES.
        let odd = options.hint(1).flags(MapFlags::FIXED_NOREPLACE);
        check_err!(odd.map(&reader), Errno::NOMEM, "length {len:#x}");
    }
    check_counts!(count, mmap: 0);
    Ok(())
}

fn mapping_count_is_limited(cx: &Context) -> Result {
    /// More than any other process has: the limit applies to every process.
    const MANY: usize = 2000;
    let region = cx.region(32)?;
    let part = |page: usize| MapOptions::new(P).offset((page * P) as u64);
    let stripes = MapOptions::new(MANY * P)
        .prot(ProtFlags::empty())
        .only_flags(MapFlags::PRIVATE | MapFlags::NORESERVE)
        .map_anonymous()?;
    for page in (0..MANY).step_by(2) {
        stripes.protect(page * P, P, MprotectFlags::READ)?;
    }
    let mut window = cx.window(8)?;
    window.map_over(P, &part(0), Some(&region))?;
    window.map_over(4 * P, &part(8), Some(&region))?;
    window.unmap(2 * P, P)?;
    let old = Process::Myself.smap_at(window.address_of(4 * P))?.map;

    // Open the file first: the number of VMAs must not change between counting and mapping.
    let limit = Sysctl::set("vm/max_map_count", 1 << 16)?;
    let count = vma_count()?;
    limit.change(count)?;
    let one = part(16).map(&region);
    let another = part(24).map(&region);
    let merging = window.fill(2 * P, &part(1), Some(&region));
    let replacing = window.map_over(4 * P, &part(24), Some(&region));
    let anonymous = MapOptions::new(P).private().map_anonymous();
    drop(limit);

    let one = one?;
    check_eq!(vma_count()?, count + 1, "mappings, one above the limit");
    check_eq!(
        Process::Myself.smap_at(one.address())?.map.offset,
        16 * P as u64
    );
    check_err!(another, Errno::NOMEM);
    check_err!(
        merging,
        Errno::NOMEM,
        "a mapping that merges with its neighbour"
    );
    check_err!(replacing, Errno::NOMEM, "a mapping in the place of another");
    check_err!(anonymous, Errno::NOMEM);
    let still = Process::Myself.smap_at(window.address_of(4 * P))?.map;
    check_eq!(still, old, "the mapping to replace");
    // Below the limit, the mapping that merges adds none. Count again: reading the old count has
    // allocated and freed memory.
    let count = vma_count()?;
    window.fill(2 * P, &part(1), Some(&region))?;
    check_eq!(vma_count()?, count);
    check_eq!(vma_pages(&window)?, [(1, 3), (4, 5)]);
    Ok(())
}
