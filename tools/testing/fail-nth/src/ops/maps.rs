// SPDX-License-Identifier: GPL-2.0

//! Mappings, and what changes them.

use crate::op::{byte, check_filled, filled, op, region, Answer, Cx, Op, COPIES, NOMEM, P};
use anyhow::{ensure, Result};
use rmmap_sys::numa::Policy;
use rmmap_sys::rustix::mm::{Advice, MapFlags, MprotectFlags, MremapFlags, MsyncFlags};
use rmmap_sys::uapi::*;
use rmmap_sys::userfaultfd::Mode;
use rmmap_sys::{Device, Errno, MapOptions, Mapping, Userfaultfd};

/// `MADV_POPULATE_*`, mlock(2): memory is missing (mm/madvise.c, `__mlock_posix_error_return()`).
const POPULATES: &[Answer] = &[
    Answer::Failed(Errno::NOMEM),
    Answer::Failed(Errno::FAULT),
    Answer::Failed(Errno::AGAIN),
];

/// `Mapping::map_over()` refuses a file of which fstatfs(2) does not say that its pages are small.
const MAPS_OVER: &[Answer] = &[
    Answer::Failed(Errno::NOMEM),
    Answer::Failed(Errno::OPNOTSUPP),
];

/// madvise(2) that splits a VMA: `madvise_update_vma()` of mm/madvise.c makes `EAGAIN` of `ENOMEM`.
const AGAIN: &[Answer] = &[Answer::Failed(Errno::AGAIN)];

/// `MADV_COLLAPSE`: `madvise_collapse_errno()` of mm/khugepaged.c.
const COLLAPSES: &[Answer] = &[
    Answer::Failed(Errno::NOMEM),
    Answer::Failed(Errno::AGAIN),
    Answer::Failed(Errno::BUSY),
    Answer::Failed(Errno::INVAL),
];

/// All operations of this file.
pub const OPS: &[Op] = &[
    op("mmap, shared", NOMEM, |cx| {
        map(cx, filled(8, 0)?, MapOptions::new(8 * P))
    }),
    op("mmap, private", NOMEM, |cx| {
        map(cx, filled(8, 0)?, MapOptions::new(8 * P).private())
    }),
    op("mmap, read only", NOMEM, |cx| {
        map(cx, filled(8, 0)?, MapOptions::new(8 * P).read_only())
    }),
    op("mmap of the device", NOMEM, |cx| {
        let device = Device::open()?;
        let m = cx.call(|| MapOptions::new(8 * P).map(&device))?;
        if let Ok(m) = &m {
            m.touch_write(3, 7)?;
        }
        Ok(Answer::from(&m))
    }),
    op("mmap, populated", NOMEM, |cx| {
        let options = MapOptions::new(8 * P).flags(MapFlags::POPULATE);
        map(cx, filled(8, RMMAP_CREATE_NEVER)?, options)
    }),
    op("mmap, populated, of a hole", NOMEM, |cx| {
        let region = region(40, RMMAP_CREATE_NEVER)?;
        let options = MapOptions::new(40 * P).flags(MapFlags::POPULATE);
        zeroes(&cx.call(|| options.map(&region))?)
    }),
    op("mmap, populated, of a hole, large folios", NOMEM, |cx| {
        let region = region(512, RMMAP_CREATE_ALWAYS)?;
        let options = MapOptions::new(512 * P).flags(MapFlags::POPULATE);
        zeroes(&cx.call(|| options.map(&region))?)
    }),
    op("mmap, over a part of another", MAPS_OVER, |cx| {
        let (one, two) = (filled(8, 0)?, filled(8, 0)?);
        let mut m = MapOptions::new(8 * P).map(&one)?;
        let options = MapOptions::new(3 * P);
        let done = cx.call(|| m.map_over(3 * P, &options, Some(&two)))?;
        drop(m);
        check_filled(&one, 8)?;
        Ok(Answer::from(&done))
    }),
    op("munmap, of a part", NOMEM, |cx| {
        let region = filled(8, 0)?;
        let mut m = touched(&region, 8)?;
        let done = cx.call(|| m.unmap(3 * P, 2 * P))?;
        if done.is_err() {
            same(&m, 8)?;
        }
        Ok(Answer::from(&done))
    }),
    op("munmap", NOMEM, |cx| {
        let region = filled(8, 0)?;
        let mut m = touched(&region, 8)?;
        Ok(Answer::from(&cx.call(|| m.unmap(0, 8 * P))?))
    }),
    op("mprotect of a part", NOMEM, |cx| {
        let region = filled(8, 0)?;
        let m = touched(&region, 8)?;
        let done = cx.call(|| m.protect(3 * P, 2 * P, MprotectFlags::READ))?;
        same(&m, 8)?;
        ensure!(
            m.touch_write(3, byte(3)).is_err() == done.is_ok(),
            "the protection"
        );
        Ok(Answer::from(&done))
    }),
    op("mremap that grows", NOMEM, |cx| {
        let region = filled(8, 0)?;
        let mut m = touched(&region, 4)?;
        let done = cx.call(|| m.resize(8 * P, MremapFlags::MAYMOVE))?;
        same(&m, if done.is_ok() { 8 } else { 4 })?;
        Ok(Answer::from(&done))
    }),
    op("mremap that moves a part", NOMEM, |cx| {
        let region = filled(8, 0)?;
        let mut m = touched(&region, 8)?;
        let mut target = MapOptions::new(3 * P).private().map_anonymous()?;
        let part = 3 * P..6 * P;
        let done = cx.call(|| m.move_over(part, &mut target, 0, MremapFlags::empty()))?;
        match done {
            Ok(()) => ensure!(target.touch_read(1)? == byte(4), "the contents"),
            Err(_) => same(&m, 8)?,
        }
        Ok(Answer::from(&done))
    }),
    op("mremap that makes a second mapping", NOMEM, |cx| {
        let region = filled(8, 0)?;
        let mut m = touched(&region, 8)?;
        let second = cx.call(|| m.move_part(0..0, 8 * P, false))?;
        if let Ok(second) = &second {
            same(second, 8)?;
        }
        same(&m, 8)?;
        Ok(Answer::from(&second))
    }),
    op("MADV_POPULATE_READ", POPULATES, |cx| {
        let region = region(40, RMMAP_CREATE_NEVER)?;
        advise(cx, &region, 40, Advice::LinuxPopulateRead)
    }),
    op("MADV_POPULATE_WRITE, large folios", POPULATES, |cx| {
        let region = region(512, RMMAP_CREATE_ALWAYS)?;
        advise(cx, &region, 512, Advice::LinuxPopulateWrite)
    }),
    op("MADV_POPULATE_WRITE, adaptive", POPULATES, |cx| {
        let region = region(80, RMMAP_CREATE_ADAPTIVE)?;
        advise(cx, &region, 80, Advice::LinuxPopulateWrite)
    }),
    op("MADV_DONTNEED", NOMEM, |cx| {
        advise_resident(cx, &filled(40, 0)?, 40, Advice::LinuxDontNeed)
    }),
    op("MADV_COLD", NOMEM, |cx| {
        advise_resident(cx, &filled(40, 0)?, 40, Advice::LinuxCold)
    }),
    op("MADV_PAGEOUT", NOMEM, |cx| {
        advise_resident(cx, &filled(40, 0)?, 40, Advice::LinuxPageOut)
    }),
    op("MADV_REMOVE", NOMEM, |cx| {
        let region = filled(40, RMMAP_CREATE_NEVER)?;
        let m = touched(&region, 40)?;
        let done = cx.call(|| m.advise(3 * P, 20 * P, Advice::LinuxRemove))?;
        let left = m.touch_read(5)?;
        let wanted = if done.is_ok() { 0 } else { byte(5) };
        ensure!(left == wanted, "page 5 has {left}");
        Ok(Answer::from(&done))
    }),
    op("MADV_HUGEPAGE of a part", AGAIN, |cx| {
        let region = filled(8, 0)?;
        let m = touched(&region, 8)?;
        let done = cx.call(|| m.advise(3 * P, 2 * P, Advice::LinuxHugepage))?;
        same(&m, 8)?;
        Ok(Answer::from(&done))
    }),
    op("MADV_COLLAPSE", COLLAPSES, |cx| {
        let region = filled(512, RMMAP_CREATE_NEVER)?;
        let m = touched(&region, 512)?;
        // khugepaged scans an executable file and skips it, since its pages are dirty
        // (`SCAN_PAGE_DIRTY_OR_WRITEBACK`).
        let done = cx.call(|| m.collapse(0, 512 * P))?;
        check_filled(&region, 512)?;
        Ok(match done {
            Err(Errno::AGAIN) => Answer::Done,
            done => Answer::from(&done),
        })
    }),
    op("mlock", POPULATES, |cx| {
        let m = MapOptions::new(40 * P).map(region(40, RMMAP_CREATE_NEVER)?)?;
        let done = cx.call(|| m.lock(0, 40 * P))?;
        ensure!(m.touch_read(30)? == 0, "the contents");
        Ok(Answer::from(&done))
    }),
    op("mlock of a part, on fault", POPULATES, |cx| {
        let m = MapOptions::new(40 * P).map(region(40, 0)?)?;
        let done = cx.call(|| m.lock_on_fault(10 * P, 20 * P))?;
        m.touch_write(12, 1)?;
        Ok(Answer::from(&done))
    }),
    op("munlock of a part", NOMEM, |cx| {
        let m = MapOptions::new(8 * P).map(region(8, 0)?)?;
        m.lock(0, 8 * P)?;
        Ok(Answer::from(&cx.call(|| m.unlock(3 * P, P))?))
    }),
    op("msync", NOMEM, |cx| {
        let region = filled(8, 0)?;
        let m = touched(&region, 8)?;
        Ok(Answer::from(
            &cx.call(|| m.sync(0, 8 * P, MsyncFlags::SYNC))?,
        ))
    }),
    op("mincore", COPIES_OR_AGAIN, |cx| {
        let region = filled(8, 0)?;
        let m = touched(&region, 8)?;
        let pages = cx.call(|| m.mincore(0, 8 * P))?;
        if let Ok(pages) = &pages {
            ensure!(pages.iter().all(|page| *page), "{pages:?}");
        }
        Ok(Answer::from(&pages))
    }),
    op("mbind", COPIES, |cx| {
        let region = filled(8, 0)?;
        let m = touched(&region, 8)?;
        let done = cx.call(|| m.bind(0, 8 * P, Policy::Bind, &[0]))?;
        same(&m, 8)?;
        Ok(Answer::from(&done))
    }),
    op("write from the mapping to a memfd", COPIES, |cx| {
        let region = region(8, 0)?;
        let m = MapOptions::new(8 * P).map(&region)?;
        let flags = rmmap_sys::rustix::fs::MemfdFlags::empty();
        let memfd = rmmap_sys::rustix::fs::memfd_create("fail-nth", flags)?;
        Ok(Answer::from(
            &cx.call(|| m.pwrite_from(0, 8 * P, &memfd, 0))?,
        ))
    }),
    op("read of another region into the mapping", COPIES, |cx| {
        let (from, to) = (filled(8, 0)?, region(8, 0)?);
        let m = MapOptions::new(8 * P).map(&to)?;
        let read = cx.call(|| m.pread_into(0, 8 * P, &from, 0))?;
        if let Ok(len) = read {
            check_prefix(&m, len)?;
        }
        Ok(Answer::from(&read))
    }),
    op("vmsplice of a page", COPIES_OR_AGAIN, |cx| {
        let m = MapOptions::new(8 * P).map(region(8, 0)?)?;
        let held = cx.call(|| m.hold_page(3))?;
        Ok(match &held {
            // pipe(2).
            Err(Errno::NFILE) => Answer::Done,
            held => Answer::from(held),
        })
    }),
    op("userfaultfd that registers stores", COPIES, |cx| {
        let region = filled(8, 0)?;
        let m = touched(&region, 8)?;
        let fd = Userfaultfd::waiting_for_nobody()?;
        Ok(Answer::from(&cx.call(|| fd.register(&m, Mode::Stores))?))
    }),
    op(
        "userfaultfd that protects against stores",
        COPIES_OR_AGAIN,
        |cx| {
            let region = filled(8, 0)?;
            let m = touched(&region, 8)?;
            let fd = Userfaultfd::waiting_for_nobody()?;
            fd.register(&m, Mode::Stores)?;
            let done = cx.call(|| fd.protect((&m, 0, 8 * P), Mode::Stores, true))?;
            m.touch_write(3, byte(3))?;
            same(&m, 8)?;
            Ok(Answer::from(&done))
        },
    ),
    op("last munmap of a closed region", NOMEM, |cx| {
        let mut m = touched(&filled(40, RMMAP_CREATE_NEVER)?, 40)?;
        Ok(Answer::from(&cx.call(|| m.unmap(0, 40 * P))?))
    }),
];

const COPIES_OR_AGAIN: &[Answer] = &[
    Answer::Failed(Errno::NOMEM),
    Answer::Failed(Errno::FAULT),
    Answer::Failed(Errno::AGAIN),
];

fn map(cx: &Cx<'_>, region: Device, options: MapOptions) -> Result<Answer> {
    let m = cx.call(|| options.map(&region))?;
    if let Ok(m) = &m {
        same(m, 8)?;
    }
    Ok(Answer::from(&m))
}

fn zeroes(m: &rmmap_sys::Result<Mapping>) -> Result<Answer> {
    if let Ok(m) = m {
        for page in 0..m.pages() {
            ensure!(m.touch_read(page)? == 0, "page {page} is not zero");
        }
    }
    Ok(Answer::from(m))
}

/// Maps pages and reads each.
fn touched(region: &Device, pages: usize) -> Result<Mapping> {
    let m = MapOptions::new(pages * P).map(region)?;
    for page in 0..pages {
        m.touch_read(page)?;
    }
    Ok(m)
}

fn same(m: &Mapping, pages: usize) -> Result<()> {
    for page in 0..pages {
        let found = m.touch_read(page)?;
        ensure!(found == byte(page), "page {page} has {found}");
    }
    Ok(())
}

fn check_prefix(m: &Mapping, len: usize) -> Result<()> {
    for page in 0..len / P {
        let found = m.touch_read(page)?;
        ensure!(found == byte(page), "page {page} has {found}");
    }
    Ok(())
}

fn advise(cx: &Cx<'_>, region: &Device, pages: usize, advice: Advice) -> Result<Answer> {
    let m = MapOptions::new(pages * P).map(region)?;
    let done = cx.call(|| m.advise(0, pages * P, advice))?;
    check_filled(region, 0)?;
    Ok(Answer::from(&done))
}

fn advise_resident(cx: &Cx<'_>, region: &Device, pages: usize, advice: Advice) -> Result<Answer> {
    let m = touched(region, pages)?;
    let done = cx.call(|| m.advise(0, pages * P, advice))?;
    same(&m, pages)?;
    Ok(Answer::from(&done))
}
