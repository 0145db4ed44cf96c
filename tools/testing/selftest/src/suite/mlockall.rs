// SPDX-License-Identifier: GPL-2.0

//! mlockall(2): its effect on existing mappings and on later ones.

use crate::context::Context;
use crate::outcome::Result;
use crate::view::{check_flags, kb, locked_kb, resident, smap, status_kb};
use crate::{cases, check, check_counts, check_eq, check_err};
use rmmap_sys::process::drop_capabilities;
use rmmap_sys::rustix::mm::{mlockall, munlockall, MapFlags, MlockAllFlags};
use rmmap_sys::rustix::process::{setrlimit, Resource, Rlimit};
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::Errno;

cases! {
    Each mlockall_current_populates ["MK-11"] "MCL_CURRENT populates and locks a lazy mapping, and no later one";
    Each mlockall_future_populates ["MK-12"] "MCL_FUTURE populates and locks later mappings, also with MAP_NONBLOCK; munlockall ends it";
    Each mlockall_on_fault_allocates_nothing ["MK-13"] "MCL_ONFAULT: `lo lf`, nothing resident, VmLck counts all at once for later mappings";
    Each mlockall_on_fault_beats_populate ["MK-14"] "under MCL_FUTURE and MCL_ONFAULT neither MAP_POPULATE nor MAP_LOCKED populates";
    Rmmap mlockall_errors ["MK-15"] "mlockall with wrong flags or without permission";
}

/// Pages that these tests map.
const PAGES: usize = 16;

fn mlockall_current_populates(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let area = cx.single_pages(2 * PAGES)?;
    let lazy = area.part(0, PAGES).map(&area)?;
    let count = area.count()?;
    mlockall(MlockAllFlags::CURRENT)?;
    check_eq!(
        (resident(&lazy)?, smap(&lazy)?.kb("Locked")),
        (PAGES, kb(PAGES))
    );
    check_flags(&lazy, &["lo"], &["lf"])?;
    let n = PAGES as u64;
    check_counts!(count, fault_read: n, fault_populate: n, answer_new: n, folios: n);

    let later = area.part(PAGES, PAGES).map(&area)?;
    check_eq!((resident(&later)?, area.held_pages()?), (0, PAGES));
    check_flags(&later, &[], &["lo"])?;
    munlockall()?;
    check_eq!((locked_kb()?, resident(&lazy)?), (0, PAGES));
    check_flags(&lazy, &[], &["lo"])?;
    Ok(())
}

fn mlockall_future_populates(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let area = cx.area(3 * PAGES)?;
    mlockall(MlockAllFlags::FUTURE)?;
    let a = area.part(0, PAGES).map(&area)?;
    check_eq!((resident(&a)?, area.held_pages()?), (PAGES, PAGES));
    check_flags(&a, &["lo"], &["lf"])?;
    let nonblock = MapFlags::from_bits_retain(0x10000) | MapFlags::POPULATE;
    let b = area.part(PAGES, PAGES).flags(nonblock).map(&area)?;
    check_eq!((resident(&b)?, area.held_pages()?), (PAGES, 2 * PAGES));
    check_flags(&b, &["lo"], &["lf"])?;
    check!(
        locked_kb()? >= kb(2 * PAGES),
        "VmLck is {} kB",
        locked_kb()?
    );

    munlockall()?;
    check_eq!(locked_kb()?, 0);
    let c = area.part(2 * PAGES, PAGES).map(&area)?;
    check_eq!((resident(&c)?, area.held_pages()?), (0, 2 * PAGES));
    check_flags(&c, &[], &["lo"])?;
    Ok(())
}

fn mlockall_on_fault_allocates_nothing(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let area = cx.single_pages(2 * PAGES)?;
    let lazy = area.part(0, PAGES).map(&area)?;
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT)?;
    check_flags(&lazy, &["lo", "lf"], &[])?;
    check_eq!((resident(&lazy)?, area.held_pages()?), (0, 0));
    lazy.touch_write(9, 1)?;
    check_eq!((resident(&lazy)?, smap(&lazy)?.kb("Locked")), (1, kb(1)));

    mlockall(MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?;
    let before = locked_kb()?;
    let later = area.part(PAGES, PAGES).map(&area)?;
    check_eq!(
        locked_kb()? - before,
        kb(PAGES),
        "VmLck for a mapping of which nothing is resident"
    );
    check_flags(&later, &["lo", "lf"], &[])?;
    check_eq!((resident(&later)?, area.held_pages()?), (0, 1));
    Ok(())
}

fn mlockall_on_fault_beats_populate(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let area = cx.area(PAGES)?;
    mlockall(MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?;
    for flags in [MapFlags::POPULATE, MapFlags::LOCKED] {
        let m = area.whole().flags(flags).map(&area)?;
        check_eq!(
            (resident(&m)?, area.held_pages()?),
            (0, 0),
            "resident with {flags:?}"
        );
        check_flags(&m, &["lf"], &[])?;
    }
    Ok(())
}

fn mlockall_errors(cx: &Context) -> Result {
    cx.needs(CapabilitySet::IPC_LOCK, "CAP_IPC_LOCK")?;
    let limit = |bytes: u64| {
        setrlimit(
            Resource::Memlock,
            Rlimit {
                current: Some(bytes),
                maximum: Some(bytes),
            },
        )
    };
    check_err!(mlockall(MlockAllFlags::empty()), Errno::INVAL);
    check_err!(mlockall(MlockAllFlags::ONFAULT), Errno::INVAL);
    check!(status_kb("VmSize")? > 64);
    limit(64 << 10)?;
    drop_capabilities(CapabilitySet::IPC_LOCK)?;
    check_err!(mlockall(MlockAllFlags::CURRENT), Errno::NOMEM);
    mlockall(MlockAllFlags::FUTURE)?;
    munlockall()?;
    limit(0)?;
    check_err!(mlockall(MlockAllFlags::FUTURE), Errno::PERM);
    Ok(())
}
