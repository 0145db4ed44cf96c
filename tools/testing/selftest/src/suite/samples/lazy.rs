// SPDX-License-Identifier: GPL-2.0

//! rust_mm_lazy: memory that is allocated when it is touched, and that behaves like a file's.

use super::sample::{map, open, own_memory, peek, vmas_of};
use crate::context::{Context, AROUND, P};
use crate::outcome::{Result, Stop};
use crate::view::{cached, check_flags, kb, locked_kb, residency, resident, smap, vma_pages};
use crate::{cases, check, check_eq, check_err, check_sigbus};
use rmmap_sys::rustix::fs::ftruncate;
use rmmap_sys::rustix::mm::{MapFlags, MremapFlags};
use rmmap_sys::{Errno, MapOptions};
use std::os::unix::fs::FileExt;

cases! {
    With("rust_mm_lazy") rust_mm_lazy_fills_on_touch [] "nothing is resident before the first touch, one page after it, and every mapping shows it";
    With("rust_mm_lazy") rust_mm_lazy_maps_resident_neighbours [] "one read of another mapping maps the resident pages of 64 KiB around it (map_pages)";
    With("rust_mm_lazy") rust_mm_lazy_ends_at_its_size [] "ENXIO beyond 16 MiB, SIGBUS where mremap(2) grew the mapping beyond it, no truncation";
    With("rust_mm_lazy") rust_mm_lazy_is_treated_as_a_file [] "mappings merge, lock, populate, copy on write, and debuggers need no help from the driver";
    With("rust_mm_lazy") rust_mm_lazy_pages_live_as_long_as_the_module [] "pages outlive mappings and descriptors, and are freed with the module";
}

const NAME: &str = "rust_mm_lazy";

/// Its size in pages: 16 MiB.
const SIZE: usize = (16 << 20) / P;

fn rust_mm_lazy_fills_on_touch(_: &Context) -> Result {
    let fd = open(NAME)?;
    let m = map(&fd, 16)?;
    check_eq!((resident(&m)?, cached(&m)?), (0, 0), "pages before a touch");
    check_eq!(m.touch_read(5)?, 0);
    let only_5: Vec<bool> = (0..16).map(|page| page == 5).collect();
    check_eq!(residency(&m)?, only_5);
    check_eq!(cached(&m)?, 1);
    m.touch_write(5, 7)?;
    check_eq!(smap(&m)?.kb("Rss"), kb(1));
    // The same memory through another descriptor, at another offset.
    let other = MapOptions::new(P).offset(5 * P as u64).map(open(NAME)?)?;
    check_eq!((cached(&other)?, resident(&other)?), (1, 0));
    check_eq!((other.touch_read(0)?, cached(&m)?), (7, 1));
    Ok(())
}

fn rust_mm_lazy_maps_resident_neighbours(cx: &Context) -> Result {
    let fd = open(NAME)?;
    let first = map(&fd, AROUND)?;
    for page in 0..AROUND {
        first.touch_write(page, page as u8 + 1)?;
    }
    // Fault-around maps aligned 64 KiB; a window has a larger alignment.
    let mut second = cx.window(AROUND)?;
    second.map_over(0, &MapOptions::new(AROUND * P), Some(&fd))?;
    check_eq!(resident(&second)?, 0);
    check_eq!(second.touch_read(0)?, 1);
    check_eq!(resident(&second)?, AROUND, "pages mapped by one read");
    check_eq!(second.touch_read(AROUND - 1)?, AROUND as u8);
    Ok(())
}

fn rust_mm_lazy_ends_at_its_size(_: &Context) -> Result {
    let fd = open(NAME)?;
    let at = |page: usize, pages: usize| MapOptions::new(pages * P).offset((page * P) as u64);
    check_err!(at(0, SIZE + 1).map(&fd), Errno::NXIO);
    check_err!(at(SIZE - 1, 2).map(&fd), Errno::NXIO);
    check_err!(at(SIZE, 1).map(&fd), Errno::NXIO);
    // The largest offsets that the core passes to drivers: page number and length must not
    // overflow.
    let last = MapOptions::new(P).offset(0u64.wrapping_sub(2 * P as u64));
    check_err!(last.map(&fd), Errno::NXIO);
    check_eq!(vmas_of(NAME)?, []);

    let mut m = at(SIZE - 1, 1).map(&fd)?;
    m.touch_write(0, 3)?;
    // The kernel does not call the hook again; it calls the fault handler.
    m.resize(3 * P, MremapFlags::MAYMOVE)?;
    check_eq!(m.touch_read(0)?, 3);
    check_sigbus!(m.touch_read(1), m.address_of(P));
    check_sigbus!(m.touch_write(2, 1), m.address_of(2 * P));
    check_err!(ftruncate(&fd, 0), Errno::INVAL, "truncation of a device");
    check_eq!(m.touch_read(0)?, 3);
    Ok(())
}

fn rust_mm_lazy_is_treated_as_a_file(cx: &Context) -> Result {
    let fd = open(NAME)?;
    let mut m = cx.window(16)?;
    let at = |page: usize| MapOptions::new(4 * P).offset((page * P) as u64);
    m.map_over(0, &at(0), Some(&fd))?;
    m.map_over(4 * P, &at(4), Some(&fd))?;
    check_eq!(vma_pages(&m)?, [(0, 8)], "VMAs of two mappings in a row");
    check_flags(&m, &["sh", "wr"], &["mm", "pf", "io", "de", "dd"])?;
    m.lock(0, 2 * P)?;
    check_eq!((locked_kb()?, resident(&m)?), (kb(2), 2));
    m.unlock(0, 2 * P)?;

    let populated = at(100).flags(MapFlags::POPULATE).map(&fd)?;
    check_eq!((resident(&populated)?, cached(&populated)?), (4, 4));

    m.touch_write(7, 0x77)?;
    let private = at(4).private().map(&fd)?;
    check_eq!(private.touch_read(3)?, 0x77);
    private.touch_write(3, 0x11)?;
    check_eq!((private.touch_read(3)?, m.touch_read(7)?), (0x11, 0x77));
    check_eq!(smap(&private)?.kb("Anonymous"), kb(1));

    // The sample has no `access`: get_user_pages() suffices.
    let memory = own_memory()?;
    check_eq!(peek(&memory, m.address_of(7 * P), 1)?, [0x77]);
    memory.write_all_at(&[0x42], m.address_of(2 * P) as u64)?;
    check_eq!(m.touch_read(2)?, 0x42);
    Ok(())
}

fn rust_mm_lazy_pages_live_as_long_as_the_module(cx: &Context) -> Result {
    let m = map(&open(NAME)?, 4)?;
    m.touch_write(2, 0x22)?;
    drop(m);
    let fd = open(NAME)?;
    let m = map(&fd, 4)?;
    check_eq!((cached(&m)?, m.touch_read(2)?), (1, 0x22));
    let loader = cx.loader()?.sibling(NAME).map_err(Stop::Fail)?;
    drop(fd);
    check!(
        rmmap_sys::module::unload(NAME) == Err(Errno::WOULDBLOCK),
        "the module can be unloaded while it is mapped"
    );
    drop(m);
    loader.reload_with(&[])?;
    let m = map(&open(NAME)?, 4)?;
    check_eq!((cached(&m)?, m.touch_read(2)?), (0, 0));
    Ok(())
}
