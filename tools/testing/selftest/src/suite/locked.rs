// SPDX-License-Identifier: GPL-2.0

//! MAP_LOCKED, mlock and mlock2: which pages become resident, and which count as locked.

use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{check_flags, kb, locked_kb, resident, resident_in, smap, smap_at, vma_pages};
use crate::{cases, check_counts, check_eq, check_err};
use rmmap_sys::process::drop_capabilities;
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::rustix::process::{setrlimit, Resource, Rlimit};
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{run_in_child, End, Errno};

cases! {
    Each map_locked_populates ["MK-09"] "MAP_LOCKED makes all pages resident and locked; munmap lowers VmLck";
    Each map_locked_nonblock_populates ["MK-10"] "MAP_LOCKED populates whatever MAP_NONBLOCK says";
    Each map_locked_private_copies ["MK-09", "PO-07"] "MAP_LOCKED of a private writable mapping makes locked copies only";
    Each mlock_locks_the_range ["MR-35"] "mlock of a part: that part is resident and counted, munlock and munmap uncount it";
    Each mlock_on_fault_allocates_nothing ["MK-16"] "mlock2(MLOCK_ONFAULT) of a part: split, `lo lf`, nothing resident until touched";
    Each locked_neighbours_merge ["MR-35"] "two adjacent MAP_LOCKED mappings are one VMA, VmLck grows by the added pages";
    Each locked_counts_for_not_accessible ["PO-06"] "PROT_NONE with MAP_LOCKED: counted, nothing resident";
    Each fork_does_not_inherit_lock ["MK-17"] "a child has the mapping without `lo`, and VmLck 0";
    Each lock_limit_is_kept ["DM-20", "DM-21"] "RLIMIT_MEMLOCK: EAGAIN beyond it, EPERM when 0; MAP_POPULATE does not care";
}

/// Pages that these tests map.
const PAGES: usize = 16;

fn map_locked_populates(cx: &Context) -> Result {
    let area = cx.single_pages(PAGES)?;
    let count = area.count()?;
    let m = area.whole().flags(MapFlags::LOCKED).map(&area)?;
    check_eq!((resident(&m)?, area.held_pages()?), (PAGES, PAGES));
    check_flags(&m, &["lo"], &["lf"])?;
    check_eq!(
        (locked_kb()?, smap(&m)?.kb("Locked")),
        (kb(PAGES), kb(PAGES))
    );
    let n = PAGES as u64;
    check_counts!(count, fault_read: n, fault_populate: n, answer_new: n, folios: n);
    drop(m);
    check_eq!(locked_kb()?, 0, "VmLck after munmap");
    check_eq!(
        area.held_pages()?,
        PAGES,
        "pages of the object after munmap"
    );
    Ok(())
}

fn map_locked_nonblock_populates(cx: &Context) -> Result {
    let nonblock = MapFlags::from_bits_retain(0x10000);
    for more in [nonblock, nonblock | MapFlags::POPULATE] {
        let area = cx.area(PAGES)?;
        let m = area.whole().flags(MapFlags::LOCKED | more).map(&area)?;
        check_eq!(
            resident(&m)?,
            PAGES,
            "pages resident with MAP_LOCKED and {more:?}"
        );
        check_flags(&m, &["lo"], &[])?;
    }
    Ok(())
}

fn map_locked_private_copies(cx: &Context) -> Result {
    let area = cx.area(PAGES)?;
    let count = area.count()?;
    let m = area.whole().private().flags(MapFlags::LOCKED).map(&area)?;
    check_eq!(
        (resident(&m)?, smap(&m)?.kb("Anonymous"), locked_kb()?),
        (PAGES, kb(PAGES), kb(PAGES))
    );
    let n = PAGES as u64;
    check_counts!(count, fault_cow: n, fault_populate: n, answer_zero: n, folios: 0);
    if area.is_rmmap() {
        check_eq!(area.held_pages()?, 0);
    }
    Ok(())
}

fn mlock_locks_the_range(cx: &Context) -> Result {
    let area = cx.single_pages(PAGES)?;
    let mut m = area.map()?;
    let count = area.count()?;
    m.lock(4 * P, 8 * P)?;
    check_eq!(
        (resident(&m)?, resident_in(&m, 4, 8)?, area.held_pages()?),
        (8, 8, 8)
    );
    check_counts!(count, fault_read: 8, fault_populate: 8, answer_new: 8);
    check_eq!(vma_pages(&m)?, [(0, 4), (4, 12), (12, 16)]);
    check_eq!((locked_kb()?, smap_at(&m, 4)?.kb("Locked")), (kb(8), kb(8)));
    check_eq!(smap_at(&m, 0)?.kb("Locked"), 0);

    m.unlock(8 * P, 2 * P)?;
    check_eq!(locked_kb()?, kb(6), "VmLck after munlock of 2 of 8 pages");
    m.unmap(10 * P, 2 * P)?;
    check_eq!(locked_kb()?, kb(4), "VmLck after munmap of 2 more");
    m.unlock(0, 10 * P)?;
    check_eq!(locked_kb()?, 0, "VmLck after munlock of the rest");
    check_eq!(vma_pages(&m)?, [(0, 10), (12, 16)]);
    check_eq!(resident(&m)?, 6, "pages that stay when they are unlocked");
    Ok(())
}

fn mlock_on_fault_allocates_nothing(cx: &Context) -> Result {
    let area = cx.single_pages(PAGES)?;
    let m = area.map()?;
    m.lock_on_fault(0, 8 * P)?;
    check_eq!(vma_pages(&m)?, [(0, 8), (8, 16)]);
    check_flags(&m, &["lo", "lf"], &[])?;
    check_eq!((resident(&m)?, area.held_pages()?), (0, 0));
    check_eq!((locked_kb()?, smap(&m)?.kb("Locked")), (kb(8), 0));
    m.touch_write(3, 1)?;
    check_eq!(
        (resident(&m)?, smap(&m)?.kb("Locked"), locked_kb()?),
        (1, kb(1), kb(8))
    );
    m.unlock(0, 8 * P)?;
    check_eq!(locked_kb()?, 0);
    check_eq!(vma_pages(&m)?, [(0, 16)]);
    Ok(())
}

fn locked_neighbours_merge(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let mut window = cx.window(8)?;
    area.map_at(&mut window, 0, area.part(0, 4).flags(MapFlags::LOCKED))?;
    check_eq!(locked_kb()?, kb(4));
    area.map_at(&mut window, 4, area.part(4, 4).flags(MapFlags::LOCKED))?;
    check_eq!(vma_pages(&window)?, [(0, 8)]);
    check_eq!((locked_kb()?, resident(&window)?), (kb(8), 8));
    // Pages that a new mapping replaces are not locked any more.
    area.map_at(&mut window, 2, area.part(2, 2))?;
    check_eq!(
        locked_kb()?,
        kb(6),
        "VmLck after an unlocked mapping replaced 2 pages"
    );
    Ok(())
}

fn locked_counts_for_not_accessible(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let none = rmmap_sys::rustix::mm::ProtFlags::empty();
    let m = area.whole().prot(none).flags(MapFlags::LOCKED).map(&area)?;
    check_flags(&m, &["lo"], &[])?;
    check_eq!(
        (locked_kb()?, resident(&m)?, area.held_pages()?),
        (kb(8), 0, 0)
    );
    Ok(())
}

fn fork_does_not_inherit_lock(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let m = area.whole().flags(MapFlags::LOCKED).map(&area)?;
    m.touch_write(1, 7)?;
    let look = || -> Result<String> {
        check_flags(&m, &["sh"], &["lo", "lf"])?;
        check_eq!((locked_kb()?, m.touch_read(1)?), (0, 7));
        Ok("fine".into())
    };
    let (end, answer) = run_in_child(|| match look() {
        Ok(text) => text.into_bytes(),
        Err(e) => format!("{e:?}").into_bytes(),
    })?;
    check_eq!(
        (end, String::from_utf8_lossy(&answer).as_ref()),
        (End::Exited(0), "fine")
    );
    check_eq!(locked_kb()?, kb(8));
    Ok(())
}

fn lock_limit_is_kept(cx: &Context) -> Result {
    let area = cx.area(32)?;
    let limit = |pages: usize| {
        let bytes = Some((pages * P) as u64);
        setrlimit(
            Resource::Memlock,
            Rlimit {
                current: bytes,
                maximum: bytes,
            },
        )
    };
    limit(PAGES)?;
    drop_capabilities(CapabilitySet::IPC_LOCK)?;
    let locked = |pages| area.part(0, pages).flags(MapFlags::LOCKED).map(&area);

    check_err!(locked(PAGES + 1), Errno::AGAIN);
    check_eq!(
        (locked_kb()?, area.held_pages()?),
        (0, 0),
        "after a refused mapping"
    );
    let half = locked(PAGES / 2)?;
    check_err!(locked(PAGES / 2 + 1), Errno::AGAIN);
    check_eq!(locked_kb()?, kb(PAGES / 2));
    let m = area.map()?;
    check_err!(m.lock(0, (PAGES / 2 + 1) * P), Errno::NOMEM);
    drop(half);
    check_eq!(resident(&locked(PAGES)?)?, PAGES);
    check_eq!(locked_kb()?, 0);

    limit(0)?;
    check_err!(locked(1), Errno::PERM);
    check_err!(m.lock(0, P), Errno::PERM);
    let populated = area.whole().flags(MapFlags::POPULATE).map(&area)?;
    check_eq!((resident(&populated)?, locked_kb()?), (32, 0));
    Ok(())
}
