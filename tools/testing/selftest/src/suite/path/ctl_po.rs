// SPDX-License-Identifier: GPL-2.0

//! `__mm_populate()` over drivers with odd fault results.

use crate::context::{Context, P};
use crate::ctl::Ctl;
use crate::outcome::Result;
use crate::view::{cached, check_flags, kb, locked_kb, residency, resident, smap};
use crate::{cases, check, check_eq, check_err, check_sigbus};
use rmmap_sys::rustix::mm::{mlockall, MapFlags, MlockAllFlags};
use rmmap_sys::rustix::process::Signal;
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{fork, procmap, End, Errno};
use std::thread::sleep;
use std::time::{Duration, Instant};

cases! {
    With("rmmap_ctl") ctl_without_map_pages ["MK-06"] "a driver without map_pages: a read maps one page, not its cached neighbours";
    With("rmmap_ctl") ctl_retry_populates ["PO-02"] "a handler that drops the lock once per page: populate continues, two calls per page";
    With("rmmap_ctl") ctl_spin_populates_for_ever ["PO-03"] "a handler that retries without progress: a touch ends, a populate ends by a fatal signal only";
    With("rmmap_ctl") ctl_populate_goes_on_after_an_error ["PO-04"] "mlockall over a bad VMA, a hole and a good one: 0, the good one is resident";
    With("rmmap_ctl") ctl_populate_skips_io_and_pfn ["PO-05"] "MAP_POPULATE calls no handler of a VM_IO or VM_PFNMAP mapping; a touch does";
    With("rmmap_ctl") ctl_populate_ignores_errors ["PO-10"] "MAP_POPULATE stops at the first bad page and succeeds";
    With("rmmap_ctl") ctl_mlock_tells_errors ["PO-11"] "mlock returns ENOMEM at the first bad page, and the VMA stays locked";
    With("rmmap_ctl") ctl_populate_ends_with_its_range ["PO-13"] "a range that is unmapped while MAP_POPULATE and MAP_LOCKED wait for its pages: mmap returns its address, the handler is not called again";
    With("rmmap_ctl") ctl_out_of_memory ["VM-07"] "VM_FAULT_OOM: MAP_POPULATE succeeds with the pages so far, mlock returns EAGAIN";
    With("rmmap_ctl") ctl_cow_of_zeroes ["PO-14"] "a private store that gets a page of zeroes to copy leaves the page cache empty";
    With("rmmap_ctl") ctl_cow_done_is_not_done ["PO-14"] "VM_FAULT_DONE_COW without finish_fault: the store is repeated until the process is killed";
}

/// Faults of a populate on the first bad page of a VMA: `__get_user_pages()` returns the good pages
/// before it, and starts the next round with it. It does not try the rest of the VMA.
const BAD_PAGE_CALLS: u64 = 2;

fn ctl_without_map_pages(cx: &Context) -> Result {
    let ctl = Ctl::open("noaround")?;
    let filled = ctl.pages(16).map(&ctl)?;
    for page in 0..16 {
        filled.touch_write(page, page as u8)?;
    }
    let mut window = cx.window(16)?;
    ctl.map_at(&mut window, 0, ctl.pages(16))?;
    check_eq!((cached(&window)?, resident(&window)?), (16, 0));
    check_eq!(window.touch_read(3)?, 3);
    check_eq!(resident(&window)?, 1);
    check_eq!(ctl.counts(["fault", "map_pages"])?, [17, 0]);
    Ok(())
}

fn ctl_retry_populates(_: &Context) -> Result {
    let ctl = Ctl::open("retry")?;
    let m = ctl.pages(8).flags(MapFlags::POPULATE).map(&ctl)?;
    check_eq!(
        (resident(&m)?, ctl.counts(["fault", "cached"])?),
        (8, [16, 8])
    );
    // The same without populate: one fault for the page, one to map it.
    let touched = ctl.part(8, 1).map(&ctl)?;
    touched.touch_write(0, 7)?;
    check_eq!(ctl.counts(["fault", "cached"])?, [18, 9]);
    check_eq!(touched.touch_read(0)?, 7);
    Ok(())
}

fn ctl_spin_populates_for_ever(cx: &Context) -> Result {
    let ctl = Ctl::open("spin")?;
    let m = ctl.pages(1).map(&ctl)?;
    m.touch_write(0, 1)?;
    check_eq!((resident(&m)?, ctl.get("fault")?), (1, 2));

    let mut child =
        fork(|_| i32::from(ctl.part(8, 8).flags(MapFlags::POPULATE).map(&ctl).is_ok()))?;
    wait_for_calls(cx, &ctl, 200)?;
    // It never returns to userspace, where a signal would stop it.
    child.signal(Signal::STOP)?;
    let before = ctl.get("fault")?;
    wait_for_calls(cx, &ctl, before + 200)?;
    check_eq!(ctl.get("cached")?, 1, "pages of the device");
    child.signal(Signal::KILL)?;
    check_eq!(child.wait()?, End::Killed(Signal::KILL.as_raw()));
    let after = ctl.get("fault")?;
    sleep(Duration::from_millis(20));
    check_eq!(ctl.get("fault")?, after, "faults after the end");
    Ok(())
}

/// Waits until the handler has been called this often.
fn wait_for_calls(cx: &Context, ctl: &Ctl, calls: u64) -> Result {
    let end = Instant::now() + Duration::from_secs(10).mul_f64(cx.time_scale);
    while ctl.get("fault")? < calls {
        check!(Instant::now() < end, "the handler is no longer called");
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn ctl_populate_goes_on_after_an_error(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let (half, dev) = (Ctl::open("half")?, cx.region(8)?);
    let mut window = cx.window(24)?;
    half.map_at(&mut window, 0, half.pages(8))?;
    window.map_over(16 * P, &rmmap_sys::MapOptions::new(8 * P), Some(&dev))?;
    window.unmap(8 * P, 8 * P)?;
    mlockall(MlockAllFlags::CURRENT)?;
    let resident = residency(&window)?;
    let count = |range: std::ops::Range<usize>| resident[range].iter().filter(|r| **r).count();
    check_eq!((count(0..4), count(4..8), count(16..24)), (4, 0, 8));
    check_eq!(half.get("fault")?, 4 + BAD_PAGE_CALLS);
    check_flags(&window, &["lo"], &[])?;
    Ok(())
}

fn ctl_populate_skips_io_and_pfn(_: &Context) -> Result {
    for (name, asked) in [("pfn", 0), ("io", 0), ("dontexpand", 8), ("mixed", 8)] {
        let ctl = Ctl::open(name)?;
        let m = ctl.pages(8).flags(MapFlags::POPULATE).map(&ctl)?;
        check_eq!(ctl.get("fault")?, asked, "calls for populate on {name}");
        for page in 0..8 {
            m.touch_write(page, 1)?;
        }
        check_eq!(
            ctl.get("fault")?,
            8,
            "calls after all were touched on {name}"
        );
    }
    Ok(())
}

fn ctl_populate_ignores_errors(_: &Context) -> Result {
    let lazy = Ctl::open("lazy")?;
    let last = (8 << 30) / P - 2;
    let m = lazy.part(last, 4).flags(MapFlags::POPULATE).map(&lazy)?;
    check_eq!(residency(&m)?, [true, true, false, false]);
    check_eq!(lazy.get("fault")?, 2 + BAD_PAGE_CALLS);
    check_sigbus!(m.touch_read(2), m.address_of(2 * P));

    let half = Ctl::open("half")?;
    let m = half.pages(8).flags(MapFlags::POPULATE).map(&half)?;
    let calls = 4 + BAD_PAGE_CALLS;
    check_eq!((resident(&m)?, half.get("fault")?), (4, calls));
    check_sigbus!(m.touch_write(4, 1), m.address_of(4 * P));
    check_eq!(half.counts(["cached", "fault"])?, [4, calls + 1]);
    Ok(())
}

fn ctl_mlock_tells_errors(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let half = Ctl::open("half")?;
    let m = half.pages(8).map(&half)?;
    check_err!(m.lock(0, m.len()), Errno::NOMEM);
    check_eq!((resident(&m)?, locked_kb()?), (4, kb(8)));
    check_flags(&m, &["lo"], &[])?;
    check_eq!(smap(&m)?.kb("Locked"), kb(4));
    Ok(())
}

/// Checks that unmapping its range ends a populate. Nothing else can end this one, see PO-03.
fn ctl_populate_ends_with_its_range(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let ctl = Ctl::open("spin")?;
    for flag in [MapFlags::POPULATE, MapFlags::LOCKED] {
        let begun = ctl.get("fault")?;
        let mut waited = Ok(());
        let before = || waited = wait_for_calls(cx, &ctl, begun + 100);
        let address = ctl.pages(8).flags(flag).map_and_lose(&ctl, before)?;
        waited?;
        check_eq!(
            procmap::query(address).map(|vma| vma.inode),
            Err(Errno::NOENT)
        );
        let after = ctl.get("fault")?;
        sleep(Duration::from_millis(20));
        check_eq!(ctl.get("fault")?, after, "faults after the end");
        check_eq!((locked_kb()?, ctl.get("cached")?), (0, 0));
    }
    let fail = Ctl::open("fail")?;
    check_err!(fail.pages(1).map_and_lose(&fail, || ()), Errno::IO);
    Ok(())
}

fn ctl_out_of_memory(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let oom = Ctl::open("oom")?;
    let m = oom.pages(8).flags(MapFlags::POPULATE).map(&oom)?;
    check_eq!((resident(&m)?, oom.get("fault")?), (4, 4 + BAD_PAGE_CALLS));
    check_err!(m.lock(0, m.len()), Errno::AGAIN);
    check_flags(&m, &["lo"], &[])?;
    check_eq!(resident(&m)?, 4);
    Ok(())
}

fn ctl_cow_of_zeroes(_: &Context) -> Result {
    let ctl = Ctl::open("cow-zero")?;
    let m = ctl.pages(8).private().flags(MapFlags::POPULATE).map(&ctl)?;
    check_eq!((resident(&m)?, smap(&m)?.kb("Anonymous")), (8, kb(8)));
    check_eq!(ctl.counts(["fault", "fault_write", "cached"])?, [8, 8, 0]);
    for page in 0..8 {
        check_eq!(m.read_u64(page * P + 8 * page)?, 0);
        m.touch_write(page, 0xaa)?;
    }
    // Neither the device's page, nor one page for all.
    check_eq!(m.read_u64(7 * P)?, 0xaa);
    check_eq!(ctl.counts(["fault", "cached"])?, [8, 0]);
    Ok(())
}

fn ctl_cow_done_is_not_done(cx: &Context) -> Result {
    let ctl = Ctl::open("cow-done")?;
    let m = ctl.pages(1).private().map(&ctl)?;
    check_eq!(m.touch_read(0)?, 0);
    check_eq!(ctl.get("fault")?, 1);
    let unread = ctl.part(8, 1).private().map(&ctl)?;
    let mut child = fork(|_| i32::from(unread.touch_write(0, 1).is_ok()))?;
    wait_for_calls(cx, &ctl, 500)?;
    check_eq!(ctl.get("cached")?, 1, "pages of the device");
    child.signal(Signal::KILL)?;
    check_eq!(child.wait()?, End::Killed(Signal::KILL.as_raw()));
    check_eq!(resident(&unread)?, 0);
    Ok(())
}
