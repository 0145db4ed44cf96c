// SPDX-License-Identifier: GPL-2.0

//! Kinds of mapping: memory without an object, and cases of the device that other tests do not
//! cover.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::view::{cached, check_flags, resident, smap};
use crate::{cases, check, check_eq};
use rmmap_procfs::Process;
use rmmap_sys::rustix::fs::{Mode, OFlags, Uid};
use rmmap_sys::rustix::thread::{set_thread_res_uid, CapabilitySet};
use rmmap_sys::{procmap, run_in_child, Device, End, MapOptions, Mapping};

cases! {
    Rmmap anonymous_private_is_copied ["MK-03"] "private anonymous memory: a child's store stays its own, the VMA has no name";
    Rmmap anonymous_shared_is_shared ["MK-04"] "shared anonymous memory: a child's store is seen, the VMA is a deleted /dev/zero";
    With("rust_mm_dirty") no_fault_around_without_map_pages ["MK-06"] "a driver without map_pages gets one page mapped per fault, with or without cached neighbours";
    Rmmap mincore_tells_strangers_nothing ["MK-18"] "mincore reports every page of an untouched mapping to a process that may not write the node";
}

/// Stores 2 to the first page of a mapping in a child; returns the first byte before and after.
fn store_in_child(m: &Mapping) -> Result<Vec<u8>> {
    let (end, bytes) = run_in_child(|| {
        let look = || -> Result<Vec<u8>> {
            let before = m.touch_read(0)?;
            m.touch_write(0, 2)?;
            Ok(vec![before, m.touch_read(0)?])
        };
        look().unwrap_or_default()
    })?;
    check_eq!(end, End::Exited(0));
    Ok(bytes)
}

fn anonymous_private_is_copied(_: &Context) -> Result {
    let m = MapOptions::new(4 * P).private().map_anonymous()?;
    check_eq!(resident(&m)?, 0);
    m.touch_write(0, 1)?;
    check_eq!(resident(&m)?, 1);
    check_eq!(store_in_child(&m)?, [1, 2]);
    check_eq!(m.touch_read(0)?, 1, "the parent's byte");
    let vma = procmap::query(m.address())?;
    check_eq!((vma.name, vma.inode), (None, 0));
    check_flags(&m, &["rd", "wr", "ac"], &["sh", "ms"])?;
    let map = smap(&m)?.map;
    check_eq!((map.perms.as_str(), map.name), ("rw-p", None));
    Ok(())
}

fn anonymous_shared_is_shared(_: &Context) -> Result {
    let m = MapOptions::new(4 * P).map_anonymous()?;
    check_eq!(resident(&m)?, 0);
    m.touch_write(0, 1)?;
    check_eq!(resident(&m)?, 1);
    check_eq!(store_in_child(&m)?, [1, 2]);
    check_eq!(m.touch_read(0)?, 2, "the parent's byte");
    let vma = procmap::query(m.address())?;
    check_eq!(vma.name.as_deref(), Some("/dev/zero (deleted)"));
    check!(vma.inode != 0, "the file of shared memory has no inode");
    check_eq!(vma.range, m.address()..m.address() + m.len());
    check_flags(&m, &["rd", "wr", "sh", "ms"], &["ac"])?;
    let map = smap(&m)?.map;
    check_eq!(
        (map.perms.as_str(), map.name.as_deref()),
        ("rw-s", Some("/dev/zero (deleted)"))
    );
    Ok(())
}

fn no_fault_around_without_map_pages(cx: &Context) -> Result {
    const PAGES: usize = 16;
    let device = Device::open_path("/dev/rust_mm_dirty", OFlags::RDWR)?;
    let whole = MapOptions::new(PAGES * P);
    let filled = whole.map(&device)?;
    for page in 0..PAGES {
        filled.touch_write(page, page as u8 + 1)?;
    }
    // At the beginning of a page table, where a driver with map_pages would have 64 KiB mapped.
    let mut window = cx.window(PAGES)?;
    window.map_over(0, &whole, Some(&device))?;
    check_eq!((cached(&window)?, resident(&window)?), (PAGES, 0));
    check_eq!(window.touch_read(0)?, 1);
    check_eq!(resident(&window)?, 1, "pages mapped after one read");
    check_eq!(window.touch_read(9)?, 10);
    check_eq!(resident(&window)?, 2, "pages mapped after two reads");
    Ok(())
}

fn mincore_tells_strangers_nothing(cx: &Context) -> Result {
    const PAGES: usize = 16;
    cx.needs(CapabilitySet::SETUID, "CAP_SETUID")?;
    let node = rmmap_sys::rustix::fs::stat(rmmap_sys::uapi::RMMAP_DEVICE)?;
    if node.st_uid != 0 || Mode::from_raw_mode(node.st_mode) != Mode::RUSR | Mode::WUSR {
        return Err(Stop::skip("needs a node of root that nobody else may open"));
    }
    let area = Area::new(Kind::Device, PAGES)?;
    let reader = area.reopen(OFlags::RDONLY)?;
    let m = area.whole().read_only().map(&reader)?;
    check_eq!((resident(&m)?, cached(&m)?), (0, 0), "as root sees it");
    // Opened before: a process that changes its user is not dumpable, and may not open it any more.
    let pagemap = Process::Myself.pagemap()?;
    let nobody = Uid::from_raw(65534);
    set_thread_res_uid(nobody, nobody, nobody)?;
    check_eq!(cached(&m)?, PAGES, "pages in core, as another user sees it");
    check_eq!(pagemap.resident(m.address(), PAGES)?, 0);
    drop(m);
    check_eq!(area.held_pages()?, 0);
    Ok(())
}
