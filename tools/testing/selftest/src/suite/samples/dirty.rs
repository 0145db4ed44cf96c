// SPDX-License-Identifier: GPL-2.0

//! rust_mm_dirty: the kernel notifies the driver of the first store to a page (`page_mkwrite`).

use super::sample::{faults_of, map, open, vmas_of};
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{residency, resident};
use crate::{cases, check_eq, check_err, check_sigbus};
use rmmap_sys::rustix::io::read;
use rmmap_sys::rustix::mm::MremapFlags;
use rmmap_sys::{fork, Device, End, Errno, MapOptions};

cases! {
    With("rust_mm_dirty") rust_mm_dirty_is_told_of_first_stores [] "a store marks its page, a load does not; read(2) cleans it and zaps it";
    With("rust_mm_dirty") rust_mm_dirty_costs_a_fault_for_each_first_store [] "a page that was read takes one fault for its first store and none for the next";
    With("rust_mm_dirty") rust_mm_dirty_hears_of_each_process [] "stores of a forked child and through another mapping notify the driver, too";
    With("rust_mm_dirty") rust_mm_dirty_leaves_private_copies_alone [] "a store to a private mapping does not notify the driver";
    With("rust_mm_dirty") rust_mm_dirty_ends_after_32_pages [] "ENXIO for a mapping beyond them";
    With("rust_mm_dirty") rust_mm_dirty_gives_no_page_past_the_end [] "a mapping that mremap(2) grows past EOF: SIGBUS there, and no page";
}

const NAME: &str = "rust_mm_dirty";

/// Pages of the device.
const PAGES: usize = 32;

/// Reads from the device which pages are dirty.
#[track_caller]
fn dirty(fd: &Device) -> Result<Vec<usize>> {
    let mut report = [0; 64];
    let n = read(fd, &mut report)?;
    check_eq!(n, PAGES, "length of the report");
    let marks = report[..n].iter().enumerate();
    let odd: Vec<u8> = report[..n]
        .iter()
        .copied()
        .filter(|mark| !b"D-".contains(mark))
        .collect();
    check_eq!(odd, Vec::<u8>::new(), "marks that mean nothing");
    Ok(marks
        .filter(|(_, mark)| **mark == b'D')
        .map(|(page, _)| page)
        .collect())
}

fn rust_mm_dirty_is_told_of_first_stores(_: &Context) -> Result {
    let fd = open(NAME)?;
    let m = map(&fd, PAGES)?;
    check_eq!(m.touch_read(3)?, 0);
    check_eq!(dirty(&fd)?, Vec::<usize>::new());
    m.touch_write(3, 1)?;
    m.touch_write(9, 1)?;
    m.touch_read(20)?;
    check_eq!(resident(&m)?, 3);
    check_eq!(dirty(&fd)?, [3, 9]);
    // The dirty pages were zapped, the clean one was not.
    let only_20: Vec<bool> = (0..PAGES).map(|page| page == 20).collect();
    check_eq!(residency(&m)?, only_20);
    check_eq!(
        dirty(&fd)?,
        Vec::<usize>::new(),
        "pages dirty without a store since"
    );
    m.touch_write(9, 2)?;
    check_eq!(
        (dirty(&fd)?, m.touch_read(3)?, m.touch_read(9)?),
        (vec![9], 1, 2)
    );
    Ok(())
}

fn rust_mm_dirty_costs_a_fault_for_each_first_store(_: &Context) -> Result {
    let fd = open(NAME)?;
    let m = map(&fd, PAGES)?;
    let store = |m: &rmmap_sys::Mapping, page: usize| Ok(m.touch_write(page, 5)?);
    for page in 0..PAGES {
        m.touch_read(page)?;
    }
    check_eq!(
        faults_of(&m, store)?,
        PAGES as u64,
        "faults of first stores"
    );
    check_eq!(faults_of(&m, store)?, 0, "faults of second stores");
    check_eq!(dirty(&fd)?.len(), PAGES);
    // One fault: if the first access is a store, the page is mapped writable at once.
    check_eq!(faults_of(&m, store)?, PAGES as u64);
    check_eq!(dirty(&fd)?.len(), PAGES);
    Ok(())
}

fn rust_mm_dirty_hears_of_each_process(_: &Context) -> Result {
    let fd = open(NAME)?;
    let m = map(&fd, PAGES)?;
    m.touch_write(4, 1)?;
    let second = MapOptions::new(P).offset(6 * P as u64).map(&fd)?;
    check_eq!(dirty(&fd)?, [4]);
    let mut child = fork(|_| match m.touch_write(4, 2) {
        Ok(()) => 0,
        Err(_) => 1,
    })?;
    check_eq!(child.wait()?, End::Exited(0));
    second.touch_write(0, 3)?;
    check_eq!(dirty(&fd)?, [4, 6]);
    check_eq!((m.touch_read(4)?, m.touch_read(6)?), (2, 3));
    Ok(())
}

fn rust_mm_dirty_leaves_private_copies_alone(_: &Context) -> Result {
    let fd = open(NAME)?;
    let private = MapOptions::new(PAGES * P).private().map(&fd)?;
    private.touch_write(2, 8)?;
    private.touch_read(3)?;
    private.touch_write(3, 8)?;
    check_eq!(dirty(&fd)?, Vec::<usize>::new());
    let m = map(&fd, PAGES)?;
    check_eq!((m.touch_read(2)?, private.touch_read(2)?), (0, 8));
    Ok(())
}

fn rust_mm_dirty_ends_after_32_pages(_: &Context) -> Result {
    let fd = open(NAME)?;
    check_err!(map_pages(&fd, 0, PAGES + 1), Errno::NXIO);
    check_err!(map_pages(&fd, PAGES, 1), Errno::NXIO);
    check_eq!(vmas_of(NAME)?, []);
    map_pages(&fd, PAGES - 1, 1)?.touch_write(0, 1)?;
    check_eq!(dirty(&fd)?, [PAGES - 1]);
    Ok(())
}

/// Maps the device, shared, from a page on.
fn map_pages(fd: &Device, page: usize, pages: usize) -> rmmap_sys::Result<rmmap_sys::Mapping> {
    MapOptions::new(pages * P).offset((page * P) as u64).map(fd)
}

fn rust_mm_dirty_gives_no_page_past_the_end(_: &Context) -> Result {
    let fd = open(NAME)?;
    let mut m = map(&fd, PAGES)?;
    m.touch_write(PAGES - 1, 1)?;
    m.resize((PAGES + 4) * P, MremapFlags::MAYMOVE)?;
    for page in [PAGES, PAGES + 3] {
        check_sigbus!(m.touch_read(page), m.address_of(page * P));
        check_sigbus!(m.touch_write(page, 1), m.address_of(page * P));
    }
    check_eq!(dirty(&fd)?, [PAGES - 1]);
    Ok(())
}
