// SPDX-License-Identifier: GPL-2.0

//! `do_mmap()` and odd drivers: failing hooks, their own addresses, unsigned offsets.

use crate::context::{Context, P};
use crate::ctl::Ctl;
use crate::outcome::Result;
use crate::view::{check_flags, locked_kb, resident, vma_pages};
use crate::{cases, check, check_eq, check_err, check_sigbus};
use rmmap_sys::map::MAP_32BIT;
use rmmap_sys::process::drop_capabilities;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::rustix::process::{setrlimit, Resource, Rlimit};
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{Device, Errno, MapOptions};

cases! {
    With("rmmap_ctl") ctl_failed_lock_populates_nothing ["DM-01"] "MAP_LOCKED and a failing hook: EIO, nothing is locked or populated";
    With("rmmap_ctl") ctl_own_address_method ["DM-18"] "the file's get_unmapped_area decides, for MAP_FIXED too; MAP_32BIT stays below 2 GiB";
    With("rmmap_ctl") ctl_lock_limit_before_the_hook ["DM-23"] "RLIMIT_MEMLOCK is checked before the hook clears VM_LOCKED";
    With("rmmap_ctl") ctl_offsets_up_to_the_last_page ["DM-25"] "devices may be mapped up to 2^64-8192, with FOP_UNSIGNED_OFFSET to the end";
    With("rmmap_ctl") ctl_sync_needs_a_promise ["DM-28"] "MAP_SYNC is EOPNOTSUPP, and `sf` on a device that supports it";
    With("rmmap_ctl") ctl_no_hook_no_mapping ["DM-39"] "files without a hook: ENODEV";
    With("rmmap_ctl") ctl_lock_asked_is_populate_asked ["DM-48"] "the kernel decides to populate before it calls the hook: MAP_LOCKED on VMAs that cannot be locked";
}

/// `MAP_SYNC` with `MAP_SHARED_VALIDATE`, the type with which the kernel refuses unknown flags.
const SYNC: MapFlags =
    MapFlags::from_bits_retain(MapFlags::SHARED_VALIDATE.bits() | MapFlags::SYNC.bits());

fn ctl_failed_lock_populates_nothing(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    for name in ["fail", "fail-prep"] {
        let ctl = Ctl::open(name)?;
        let before = locked_kb()?;
        let locked = ctl.pages(8).flags(MapFlags::LOCKED);
        check_err!(locked.map(&ctl), Errno::IO, "MAP_LOCKED of {name}");
        check_eq!(locked_kb()?, before);
        check_eq!(ctl.counts(["hook", "fault", "cached"])?, [1, 0, 0]);
    }
    Ok(())
}

fn ctl_own_address_method(cx: &Context) -> Result {
    let ctl = Ctl::open("gua")?;
    check_err!(ctl.pages(4).map(&ctl), Errno::BUSY);
    let mut window = cx.window(4)?;
    let free = window.address();
    window.unmap(0, 4 * P)?;
    let there = ctl.pages(4).hint(free).flags(MapFlags::FIXED_NOREPLACE);
    check_err!(there.map(&ctl), Errno::BUSY, "a free address");
    let mut window = cx.window(4)?;
    window.map_over(0, &MapOptions::new(4 * P), Some(&cx.region(4)?))?;
    window.touch_write(1, 5)?;
    check_err!(ctl.map_at(&mut window, 0, ctl.pages(4)), Errno::BUSY);
    check_eq!(
        (window.touch_read(1)?, vma_pages(&window)?),
        (5, vec![(0, 4)])
    );
    check_eq!(ctl.get("hook")?, 0, "calls of the hook");

    if cfg!(target_arch = "x86_64") {
        let low = MapOptions::new(4 * P).flags(MAP_32BIT);
        let low = low.map(cx.region(4)?)?;
        check!(
            low.address() + low.len() <= 1 << 31,
            "MAP_32BIT gives {:#x}",
            low.address()
        );
        low.touch_write(3, 1)?;
    }
    Ok(())
}

fn ctl_lock_limit_before_the_hook(_: &Context) -> Result {
    let limit = Some(16 * P as u64);
    let limit = Rlimit {
        current: limit,
        maximum: limit,
    };
    setrlimit(Resource::Memlock, limit)?;
    drop_capabilities(CapabilitySet::IPC_LOCK)?;
    let ctl = Ctl::open("pfn")?;
    let locked = |pages| ctl.pages(pages).flags(MapFlags::LOCKED).map(&ctl);
    check_err!(locked(17), Errno::AGAIN);
    check_eq!(ctl.get("hook")?, 0, "calls of the hook");
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(locked(16)?);
    }
    check_eq!((ctl.get("hook")?, locked_kb()?), (4, 0));
    for m in &held {
        check_flags(m, &["pf"], &["lo"])?;
    }
    Ok(())
}

fn ctl_offsets_up_to_the_last_page(cx: &Context) -> Result {
    let (last, before) = (P.wrapping_neg() as u64, (2 * P).wrapping_neg() as u64);
    let page = |offset| MapOptions::new(P).offset(offset);
    let dev = cx.device()?;
    check_err!(page(last).map(&dev), Errno::OVERFLOW);
    let two = MapOptions::new(2 * P).offset(before);
    check_err!(two.map(&dev), Errno::OVERFLOW);
    // The kernel calls the hook, which decides.
    check_err!(page(before).map(&dev), Errno::NXIO);

    let lazy = Ctl::open("lazy")?;
    check_err!(page(last).map(&lazy), Errno::OVERFLOW);
    check_eq!(lazy.get("hook")?, 0);
    let m = page(before).map(&lazy)?;
    check_sigbus!(m.touch_read(0), m.address());
    let m = page(1 << 40).map(&lazy)?;
    check_sigbus!(m.touch_write(0, 1), m.address());
    check_eq!(lazy.counts(["hook", "cached"])?, [2, 0]);

    let unsigned = Ctl::open("uoff")?;
    let m = page(last).map(&unsigned)?;
    check_sigbus!(m.touch_read(0), m.address());
    check_eq!(crate::view::vmas(&m)?[0].offset, last);
    check_eq!(unsigned.get("hook")?, 1);
    Ok(())
}

fn ctl_sync_needs_a_promise(cx: &Context) -> Result {
    let dev = cx.region(1)?;
    let options = MapOptions::new(P).only_flags(SYNC);
    check_err!(options.map(&dev), Errno::OPNOTSUPP);
    check_err!(options.map(cx.device()?), Errno::OPNOTSUPP);
    let ctl = Ctl::open("sync")?;
    let m = options.map(&ctl)?;
    check_flags(&m, &["sf", "sh", "ms"], &[])?;
    m.touch_write(0, 1)?;
    check_eq!(ctl.counts(["hook", "cached"])?, [1, 1]);
    Ok(())
}

fn ctl_no_hook_no_mapping(_: &Context) -> Result {
    let null = Device::open_path("/dev/null", OFlags::RDWR)?;
    check_err!(MapOptions::new(P).map(&null), Errno::NODEV);
    let ctl = Ctl::open("nommap")?;
    check_err!(ctl.pages(1).map(&ctl), Errno::NODEV);
    check_err!(ctl.pages(1).private().map(&ctl), Errno::NODEV);
    Ok(())
}

fn ctl_lock_asked_is_populate_asked(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let all = [
        ("pfn", 0, "pf"),
        ("io", 0, "io"),
        ("dontexpand", 8, "de"),
        ("mixed", 8, "mm"),
    ];
    for (name, populated, flag) in all {
        let ctl = Ctl::open(name)?;
        let m = ctl.pages(8).flags(MapFlags::LOCKED).map(&ctl)?;
        check_eq!(
            (ctl.get("fault")?, resident(&m)?),
            (populated, populated as usize)
        );
        check_flags(&m, &[flag], &["lo"])?;
        check_eq!(locked_kb()?, 0, "VmLck with {name}");
    }
    Ok(())
}
