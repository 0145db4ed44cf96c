// SPDX-License-Identifier: GPL-2.0

//! A memory cgroup at its limit: the allocating process gets an error, and the OOM killer does not
//! run.

use crate::area::Area;
use crate::cgroup::{in_cgroup, Cgroup};
use crate::context::{needs_large_folios, Context, P, PMD, PMD_ORDER};
use crate::counting::stats;
use crate::outcome::{Result, Stop};
use crate::{cases, check, check_eq, check_err, check_sigbus};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::rustix::mm::{Advice, MapFlags};
use rmmap_sys::uapi::{RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_ALWAYS};
use rmmap_sys::{Device, Errno, MapOptions};

cases! {
    Rmmap memcg_limit_makes_folios_smaller [] "folios that exceed the cgroup's limit fall back to smaller orders, up to the limit; then ENOMEM or SIGBUS, and large ones again later";
    Each memcg_limit_is_sigbus_on_touch [] "touching beyond the cgroup's limit: SIGBUS, no OOM kill, and memory is charged and uncharged";
    Each memcg_limit_is_enomem_on_populate [] "MADV_POPULATE_WRITE and write beyond the limit: ENOMEM; MAP_POPULATE succeeds partly";
}

/// The limit, bytes: eight of the largest folios.
const LIMIT: usize = 8 * PMD;

/// What the kernel charges for other memory, and in advance (`MEMCG_CHARGE_BATCH`), bytes.
const SLACK: usize = 256 * P;

/// Pages that do not fit.
const PAGES: usize = 2 * LIMIT / P;

/// Checks that the OOM killer did not run, and that the cgroup reached its limit.
fn check_events(group: &Cgroup) -> Result {
    check_eq!(group.number("memory.events", "oom_kill")?, 0);
    check!(
        group.number("memory.events", "max")? > 0,
        "the limit was never reached"
    );
    Ok(())
}

fn memcg_limit_is_sigbus_on_touch(cx: &Context) -> Result {
    let group = Cgroup::new(LIMIT)?;
    let area = cx.single_pages(PAGES)?;
    if !area.is_rmmap() {
        return Err(Stop::skip("charging a memfd may start the OOM killer"));
    }
    let failed = in_cgroup(&group, || {
        let m = area.map()?;
        let result = (0..PAGES)
            .map(|page| (page, m.touch_write(page, 1)))
            .find(|t| t.1.is_err());
        area.discard(0, PAGES)?;
        let Some((page, Err(fault))) = result else {
            return Err(Stop::fail("no touch beyond the limit failed"));
        };
        check!(fault.is_beyond_end(), "page {page}: {fault}");
        check_eq!(fault.address, m.address_of(page * P));
        check!(
            page > PAGES / 4,
            "the limit of {} pages was reached at page {page}",
            LIMIT / P
        );
        // Below the limit again.
        m.touch_write(PAGES - 1, 1)?;
        Ok(())
    })?;
    check_eq!(failed, None);
    check_eq!(
        (area.held_pages()?, area.read((PAGES - 1) * P, 1)?[0]),
        (1, 1)
    );
    area.discard(0, PAGES)?;
    check_events(&group)?;
    let peak = group.number("memory.peak", "")? as usize;
    check!(
        (LIMIT - SLACK..=LIMIT + P).contains(&peak),
        "at most {peak} bytes were charged"
    );
    let left = group.number("memory.current", "")?;
    check!(left < LIMIT as u64 / 4, "{left} bytes are still charged");
    Ok(())
}

fn memcg_limit_is_enomem_on_populate(cx: &Context) -> Result {
    let group = Cgroup::new(LIMIT)?;
    let area = cx.area(PAGES)?;
    if !area.is_rmmap() {
        return Err(Stop::skip("charging a memfd may start the OOM killer"));
    }
    let work = || -> Result {
        let m = area.map()?;
        let populate = m.advise(0, m.len(), Advice::LinuxPopulateWrite);
        area.discard(0, PAGES)?;
        check_err!(populate, Errno::NOMEM);

        let mapped = area.whole().flags(MapFlags::POPULATE).map(&area);
        let held = held_then_freed(&area)?;
        drop(mapped?);
        check!(
            held > PAGES / 4 && held < PAGES,
            "MAP_POPULATE made {held} of {PAGES} pages"
        );

        let chunk = [1; 16 * P];
        let mut offset = area.base();
        let result = loop {
            match pwrite(&area, &chunk, offset) {
                Ok(n) => offset += n as u64,
                Err(e) => break e,
            }
        };
        let written = (offset - area.base()) as usize / P;
        let held = held_then_freed(&area)?;
        check_eq!((result, written), (Errno::NOMEM, held));
        Ok(())
    };
    check_eq!(in_cgroup(&group, work)?, None);
    check_events(&group)
}

fn memcg_limit_makes_folios_smaller(cx: &Context) -> Result {
    needs_large_folios()?;
    for flags in [RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_ALWAYS] {
        let group = Cgroup::new(LIMIT)?;
        let region = cx.device()?.create((PAGES * P) as u64, flags)?;
        let work = || -> Result {
            let m = MapOptions::new(PAGES * P).map(&region)?;
            // The cgroup also counts other memory of this process, less than SLACK.
            check_err!(
                m.advise(0, m.len(), Advice::LinuxPopulateWrite),
                Errno::NOMEM
            );
            check_up_to_limit(&region, 0, 6)?;
            let held = region.info()?.resident as usize / P;
            check_sigbus!(m.touch_write(held, 1), m.address_of(held * P));

            region.discard(0, m.len() as u64)?;
            let before = stats(&region)?.region.folios[PMD_ORDER];
            let failed = (0..PAGES).find_map(|page| m.touch_write(page, 1).err());
            check!(failed.is_some_and(|fault| fault.is_beyond_end()));
            // The first folios are small: there is no stream yet, and no hint that larger orders
            // are available.
            check_up_to_limit(&region, before, 3)
        };
        check_eq!(in_cgroup(&group, work)?, None);
        check_events(&group)?;
    }
    Ok(())
}

/// Checks that a region was filled up to the limit, with at least this many new large folios.
fn check_up_to_limit(region: &Device, before: u64, wanted: u64) -> Result {
    let counters = stats(region)?.region;
    let held = region.info()?.resident as usize;
    check!(
        (LIMIT - SLACK..=LIMIT).contains(&held),
        "{held} bytes of {LIMIT} were allocated"
    );
    check!(counters.order_fallback > 0);
    let large = counters.folios[PMD_ORDER] - before;
    check!(
        (wanted..8).contains(&large),
        "{large} large folios: {counters:?}"
    );
    Ok(())
}

/// Empties an area and returns the number of pages that it held.
fn held_then_freed(area: &Area) -> Result<usize> {
    let held = area.held_pages();
    area.discard(0, area.pages())?;
    held
}
