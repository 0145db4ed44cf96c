// SPDX-License-Identifier: GPL-2.0

//! Threads at the limit of the quota: an attempt that does not fit must not fail one that does.

use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::race::race;
use crate::{cases, check, check_eq};
use rmmap_sys::uapi::{RMMAP_CREATE_ALWAYS, RMMAP_CREATE_NEVER};
use rmmap_sys::MapOptions;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

cases! {
    Reload quota_attempts_cost_others_nothing [] "a large folio that the quota has no room for takes nothing from a thread whose page fits", 60;
}

/// The quota, in pages.
const QUOTA: usize = 512;

/// Pages that stay allocated.
const HELD: usize = 505;

/// Pages that one thread touches repeatedly.
const SINGLE: usize = 3;

/// The most pages that the other thread can allocate, as one folio: the next larger order never
/// fits.
const LARGE: usize = 4;

const _: () = assert!(HELD + SINGLE + LARGE <= QUOTA && HELD + 2 * LARGE > QUOTA);

fn quota_attempts_cost_others_nothing(cx: &Context) -> Result {
    let quota = format!("max_bytes={}", QUOTA * P);
    cx.loader()?.reload_with(&[&quota, "capacity=1048576"])?;
    let device = cx.device()?;
    let region = |flags| device.create((QUOTA * P) as u64, flags);
    let options = MapOptions::new(QUOTA * P);
    let held = region(RMMAP_CREATE_NEVER)?;
    let held = options.map(&held)?;
    // Backwards, so that each touch adds only its page.
    (0..HELD)
        .rev()
        .try_for_each(|page| held.touch_write(page, 1))?;
    check_eq!(device.info()?.used_bytes as usize / P, HELD);

    let single = region(RMMAP_CREATE_NEVER)?;
    let mapping = options.map(&single)?;
    let (touched, attempts) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let large = |_: usize, stop: &AtomicBool| -> Result {
        while !stop.load(Ordering::Relaxed) {
            // A new region has no order hint yet, and tries all orders.
            let region = region(RMMAP_CREATE_ALWAYS)?;
            // The file has room for all orders up to 9, the quota only for the smallest.
            let data = [1];
            rmmap_sys::rustix::io::pwrite(&region, &data, 0)?;
            let taken = region.info()?.resident as usize / P;
            check!(taken <= LARGE, "{taken} pages of a quota of {QUOTA}");
            attempts.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let touch = || -> Result {
        for page in (0..SINGLE).rev() {
            mapping.touch_write(page, 1).map_err(|fault| {
                let n = touched.load(Ordering::Relaxed);
                Stop::fail(format_args!(
                    "after {n} touches, page {page} of {SINGLE}: {fault}"
                ))
            })?;
            touched.fetch_add(1, Ordering::Relaxed);
        }
        single.discard(0, (SINGLE * P) as u64)?;
        Ok(())
    };
    let met = || touched.load(Ordering::Relaxed) > 100 && attempts.load(Ordering::Relaxed) > 20;
    for _ in 0..cx.rounds(10) {
        race(cx, 1, large, touch, met)?;
    }
    check_eq!(device.info()?.used_bytes as usize / P, HELD);
    Ok(())
}
