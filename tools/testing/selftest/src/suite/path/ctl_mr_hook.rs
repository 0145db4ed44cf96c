// SPDX-License-Identifier: GPL-2.0

//! A driver's hook changes the new VMA, or fails.

use crate::context::{Context, P};
use crate::ctl::Ctl;
use crate::outcome::{equal, Result};
use crate::view::{check_flags, kb, locked_kb, smap, vma_pages, vmas};
use crate::{cases, check_eq, check_err, check_sigbus};
use rmmap_procfs::Process;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::{mlockall, munlockall, MapFlags, MlockAllFlags};
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{Device, Errno, MapOptions};

cases! {
    With("rmmap_ctl") ctl_no_operations ["MR-22"] "a driver that sets no vm_ops: mmap and populate succeed, a touch is SIGBUS";
    With("rmmap_ctl") ctl_partial_mapping_is_undone ["MR-24"] "a hook that maps a page and then fails: its error, and the page is freed";
    With("rmmap_ctl") ctl_failed_hook_leaves_a_hole ["MR-25"] "a failing hook under MAP_FIXED: the error, and a hole in the old mapping";
    With("rmmap_ctl") ctl_zero_replaces_the_file ["MR-29"] "/dev/zero: private is anonymous memory, shared is a file of its own";
    With("rmmap_ctl") ctl_failed_mapped_is_unmapped ["MR-30"] "vm_ops->mapped fails: its error, and the VMA is unmapped again";
    With("rmmap_ctl") ctl_special_is_never_locked ["MR-36"] "MAP_LOCKED, mlock and mlockall on VM_PFNMAP, VM_IO, VM_DONTEXPAND, VM_MIXEDMAP lock nothing";
}

fn ctl_no_operations(_: &Context) -> Result {
    let ctl = Ctl::open("noops")?;
    for options in [ctl.pages(4), ctl.pages(4).private()] {
        let m = options.flags(MapFlags::POPULATE).map(&ctl)?;
        check_eq!(crate::view::resident(&m)?, 0);
        check_sigbus!(m.touch_read(1), m.address_of(P));
        check_sigbus!(m.touch_write(3, 1), m.address_of(3 * P));
        check_eq!(vmas(&m)?[0].name.as_deref(), Some("/dev/rmmap-ctl-noops"));
    }
    check_eq!(ctl.counts(["hook", "fault"])?, [2, 0]);
    Ok(())
}

fn ctl_partial_mapping_is_undone(_: &Context) -> Result {
    let ctl = Ctl::open("fail-late")?;
    check_eq!(ctl.get("references")?, 1);
    for call in 1..=4 {
        check_err!(ctl.pages(4).map(&ctl), Errno::NXIO);
        check_eq!(ctl.counts(["hook", "references"])?, [call, 1]);
    }
    Ok(())
}

fn ctl_failed_hook_leaves_a_hole(cx: &Context) -> Result {
    for name in ["fail", "fail-prep"] {
        let ctl = Ctl::open(name)?;
        let live = cx.region(16)?;
        let mut window = cx.window(16)?;
        window.map_over(0, &MapOptions::new(16 * P), Some(&live))?;
        for page in 0..16 {
            window.touch_write(page, page as u8 + 1)?;
        }
        check_err!(ctl.map_at(&mut window, 4, ctl.pages(8)), Errno::IO);
        let left = vma_pages(&window)?;
        equal(&format!("VMAs after {name}"), &left, &[(0, 4), (12, 16)])?;
        check_eq!((window.touch_read(3)?, window.touch_read(12)?), (4, 13));
        check_eq!(ctl.counts(["hook", "close"])?, [1, 0]);
    }
    Ok(())
}

fn ctl_zero_replaces_the_file(_: &Context) -> Result {
    let zero = Device::open_path("/dev/zero", OFlags::RDWR)?;
    let private = MapOptions::new(4 * P).private().map(&zero)?;
    private.touch_write(1, 1)?;
    check_eq!(private.touch_read(2)?, 0);
    let map = smap(&private)?;
    check_eq!(map.map.name.as_deref(), Some("/dev/zero"));
    // Written pages are anonymous; read ones are the kernel's zero page.
    check_eq!((map.kb("Anonymous"), map.kb("Rss")), (kb(1), kb(1)));

    let shared = MapOptions::new(4 * P).map(&zero)?;
    shared.touch_write(1, 1)?;
    let map = smap(&shared)?;
    check_eq!(map.map.name.as_deref(), Some("/dev/zero (deleted)"));
    check_eq!((map.kb("Anonymous"), map.kb("Rss")), (0, kb(1)));
    // A second mapping has another file.
    let other = MapOptions::new(4 * P).map(&zero)?;
    check_eq!(other.touch_read(1)?, 0);
    check_eq!(smap(&other)?.map.inode == map.map.inode, false);
    Ok(())
}

fn ctl_failed_mapped_is_unmapped(cx: &Context) -> Result {
    let ctl = Ctl::open("mapped")?;
    let mut window = cx.window(8)?;
    let start = window.address();
    window.unmap(0, 8 * P)?;
    let there = ctl.pages(8).hint(start).flags(MapFlags::FIXED_NOREPLACE);
    check_err!(there.map(&ctl), Errno::NOSPC);
    check_eq!(vma_pages(&window)?, []);
    check_eq!(ctl.counts(["hook", "mapped"])?, [1, 1]);
    // After the unmapping the range is free.
    let anonymous = MapOptions::new(8 * P).hint(start);
    let again = anonymous.flags(MapFlags::FIXED_NOREPLACE).map_anonymous()?;
    check_eq!(again.address(), start);
    Ok(())
}

/// Checks that VmLck is the size of the VMAs that smaps calls locked.
#[track_caller]
fn check_locked_sum() -> Result<u64> {
    let smaps = Process::Myself.smaps()?;
    let locked = smaps.iter().filter(|smap| smap.vm_flags.has("lo"));
    let sum: u64 = locked.map(|smap| smap.map.len() as u64 / 1024).sum();
    equal("VmLck", &locked_kb()?, &sum)?;
    Ok(sum)
}

fn ctl_special_is_never_locked(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let all: [(&str, &[&str]); 4] = [
        ("pfn", &["pf", "io", "de", "dd"]),
        ("io", &["io"]),
        ("dontexpand", &["de"]),
        ("mixed", &["mm"]),
    ];
    for (name, flags) in all {
        let ctl = Ctl::open(name)?;
        let m = ctl.pages(8).flags(MapFlags::LOCKED).map(&ctl)?;
        check_flags(&m, flags, &["lo"])?;
        check_eq!(locked_kb()?, 0, "VmLck after MAP_LOCKED of {name}");

        let plain = ctl.part(8, 8).map(&ctl)?;
        plain.lock(0, plain.len())?;
        check_flags(&plain, flags, &["lo"])?;
        check_eq!(locked_kb()?, 0, "VmLck after mlock of {name}");

        mlockall(MlockAllFlags::CURRENT)?;
        for m in [&m, &plain] {
            check_flags(m, flags, &["lo"])?;
            check_eq!(smap(m)?.kb("Locked"), 0, "locked kB of {name}");
        }
        check_eq!(check_locked_sum()? > 0, true, "the rest is locked");
        munlockall()?;
    }
    Ok(())
}
