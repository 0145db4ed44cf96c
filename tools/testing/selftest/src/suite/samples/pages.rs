// SPDX-License-Identifier: GPL-2.0

//! rust_mm_pages: pages of the driver, mapped by the hook (`VM_MIXEDMAP`).

use super::core_dump::dump;
use super::sample::{faults_of, load, map, open, vmas_of, with_each_hook};
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{check_flags, kb, locked_kb, resident, smap, vma_pages};
use crate::{cases, check_eq, check_err, check_sigbus};
use rmmap_sys::rustix::mm::{Advice, MremapFlags};
use rmmap_sys::{fork, End, Errno, MapOptions, Mapping};

cases! {
    With("rust_mm_pages") rust_mm_pages_are_there_at_once [] "all 8 pages are mapped when mmap(2) returns, and no access faults, with either hook";
    With("rust_mm_pages") rust_mm_pages_maps_the_whole_or_nothing [] "another length or offset is EINVAL, and no VMA is left, with either hook";
    With("rust_mm_pages") rust_mm_pages_belong_to_the_open_file [] "mappings of one open file share pages, those of another have their own, and a child has its parent's";
    With("rust_mm_pages") rust_mm_pages_do_not_come_back [] "without a fault handler a zapped page is SIGBUS, and so is a page that mremap(2) adds";
    With("rust_mm_pages") rust_mm_pages_outlive_the_descriptor [] "the mapping alone keeps the pages";
    With("rust_mm_pages") rust_mm_pages_private_copies [] "a private mapping has the pages, and copies on write";
    With("rust_mm_pages") rust_mm_pages_are_mixed [] "VM_MIXEDMAP: no merging, mlock(2) without effect, in core dumps as coredump_filter says";
}

const NAME: &str = "rust_mm_pages";

/// Pages of an open file.
const PAGES: usize = 8;

/// Checks that the pages hold the bytes that the driver wrote.
#[track_caller]
fn check_contents(m: &Mapping) -> Result {
    for page in 0..m.pages() {
        let mut bytes = [0; 2];
        m.read(page * P, &mut bytes)?;
        check_eq!(bytes, [b'p', b'0' + page as u8], "page {page}");
    }
    Ok(())
}

fn rust_mm_pages_are_there_at_once(cx: &Context) -> Result {
    with_each_hook(cx, NAME, |_, _| {
        let m = map(&open(NAME)?, PAGES)?;
        check_eq!(resident(&m)?, PAGES, "pages in the page table after mmap");
        check_eq!(smap(&m)?.kb("Rss"), kb(PAGES));
        check_flags(&m, &["mm", "sh"], &["pf", "io"])?;
        check_eq!(faults_of(&m, load)?, 0, "faults of loads");
        let store = |m: &Mapping, page: usize| Ok(m.touch_write(page, b'p')?);
        check_eq!(faults_of(&m, store)?, 0, "faults of stores");
        check_contents(&m)
    })
}

fn rust_mm_pages_maps_the_whole_or_nothing(cx: &Context) -> Result {
    with_each_hook(cx, NAME, |_, _| {
        let fd = open(NAME)?;
        for pages in [1, PAGES - 1, PAGES + 1] {
            check_err!(MapOptions::new(pages * P).map(&fd), Errno::INVAL);
        }
        let late = MapOptions::new(PAGES * P).offset(P as u64);
        check_err!(late.map(&fd), Errno::INVAL);
        check_eq!(vmas_of(NAME)?, []);
        check_contents(&map(&fd, PAGES)?)
    })
}

fn rust_mm_pages_belong_to_the_open_file(_: &Context) -> Result {
    let (fd, stranger) = (open(NAME)?, open(NAME)?);
    let (a, b, other) = (map(&fd, PAGES)?, map(&fd, PAGES)?, map(&stranger, PAGES)?);
    a.touch_write(2, 0x77)?;
    check_eq!((b.touch_read(2)?, other.touch_read(2)?), (0x77, b'p'));
    let mut child = fork(|_| match (a.touch_read(2), a.touch_write(3, 0x33)) {
        (Ok(0x77), Ok(())) => 0,
        _ => 1,
    })?;
    check_eq!(child.wait()?, End::Exited(0));
    check_eq!(b.touch_read(3)?, 0x33);
    Ok(())
}

fn rust_mm_pages_do_not_come_back(_: &Context) -> Result {
    let mut m = map(&open(NAME)?, PAGES)?;
    m.advise(3 * P, P, Advice::LinuxDontNeed)?;
    check_eq!(resident(&m)?, PAGES - 1);
    check_sigbus!(m.touch_read(3), m.address_of(3 * P));
    check_sigbus!(m.touch_write(3, 1), m.address_of(3 * P));
    check_eq!((m.touch_read(2)?, m.touch_read(4)?), (b'p', b'p'));
    m.resize((PAGES + 2) * P, MremapFlags::MAYMOVE)?;
    check_eq!(
        resident(&m)?,
        PAGES - 1,
        "pages after mremap made it longer"
    );
    check_sigbus!(m.touch_read(PAGES), m.address_of(PAGES * P));
    check_eq!(m.touch_read(7)?, b'p');
    Ok(())
}

fn rust_mm_pages_outlive_the_descriptor(_: &Context) -> Result {
    let fd = open(NAME)?;
    let m = map(&fd, PAGES)?;
    drop(fd);
    // If the mapping did not keep the file, its pages would be free now, and these mappings would
    // reuse them.
    let others: Vec<Mapping> = (0..8)
        .map(|_| map(&open(NAME)?, PAGES))
        .collect::<Result<_>>()?;
    for other in &others {
        for page in 0..PAGES {
            other.touch_write(page, 0xff)?;
        }
    }
    check_contents(&m)
}

fn rust_mm_pages_private_copies(_: &Context) -> Result {
    let fd = open(NAME)?;
    let shared = map(&fd, PAGES)?;
    let private = MapOptions::new(PAGES * P).private().map(&fd)?;
    check_contents(&private)?;
    private.touch_write(1, 0x11)?;
    check_eq!(
        (shared.touch_read(1)?, private.touch_read(1)?),
        (b'p', 0x11)
    );
    check_eq!(smap(&private)?.kb("Anonymous"), kb(1));
    shared.touch_write(2, 0x22)?;
    check_eq!(private.touch_read(2)?, 0x22, "a page that was not copied");
    Ok(())
}

fn rust_mm_pages_are_mixed(cx: &Context) -> Result {
    let fd = open(NAME)?;
    let mut m = cx.window(2 * PAGES)?;
    let options = MapOptions::new(PAGES * P);
    m.map_over(0, &options, Some(&fd))?;
    m.map_over(PAGES * P, &options, Some(&fd))?;
    check_eq!(vma_pages(&m)?, [(0, PAGES), (PAGES, 2 * PAGES)]);
    m.lock(0, PAGES * P)?;
    check_eq!(locked_kb()?, 0);
    check_flags(&m, &[], &["lo"])?;

    // Bit 3 of the filter: shared mappings of files.
    let with = dump(cx, 1 << 3)?;
    check_eq!(with.bytes_of(m.address())?.len(), PAGES * P);
    check_eq!(with.bytes_of(m.address())?[5 * P..5 * P + 2], *b"p5");
    check_eq!(dump(cx, 0)?.bytes_of(m.address())?.len(), 0);
    Ok(())
}
