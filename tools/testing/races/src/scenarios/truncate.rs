// SPDX-License-Identifier: GPL-2.0

//! ftruncate(2) against faults, writes, forks and itself.

use super::{scenario, Scenario};
use crate::cx::{
    bytes, check_bytes, check_pages, ones, region, resize, stored, Cx, LARGE, P, SMALL,
};
use anyhow::{ensure, Result};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::{fork_and_exit, Device, MapOptions, Mapping};

/// All scenarios of this file.
pub const SCENARIOS: &[Scenario] = &[
    // A missing page that truncation removes from the file.
    scenario("fault-truncate", |cx| {
        fault(cx, &region(8, SMALL)?, |m| m.touch_write(6, 7))
    }),
    scenario("write-truncate", |cx| write(cx, SMALL)),
    scenario("fault-truncate-large", |cx| {
        fault(cx, &region(16, LARGE)?, |m| m.touch_write(6, 7))
    }),
    scenario("read-fault-truncate", |cx| {
        fault(cx, &region(8, SMALL)?, |m| m.touch_read(6).map(drop))
    }),
    // A resident one, which the fault only maps.
    scenario("fault-resident-truncate", |cx| {
        fault(cx, &ones(8 * P, SMALL)?, |m| m.touch_write(6, 7))
    }),
    scenario("fault-resident-truncate-large", |cx| {
        fault(cx, &ones(16 * P, LARGE)?, |m| m.touch_read(6).map(drop))
    }),
    scenario("write-truncate-large", |cx| write(cx, LARGE)),
    scenario("allocate-truncate", |cx| {
        let region = region(8, LARGE)?;
        let (allocated, cut) = cx.race(
            || region.allocate(0, 8 * P as u64),
            || resize(&region, 4 * P),
        )?;
        cut?;
        // The file may have shrunk before.
        let is_refused = allocated.is_err();
        ensure!(
            is_refused || region.info()?.resident == 4 * P as u64,
            "pages are missing"
        );
        check_pages(&[&region])
    }),
    scenario("truncate-truncate", |cx| {
        let region = ones(16 * P, LARGE)?;
        let (a, b) = cx.race(|| resize(&region, 5 * P + 1), || resize(&region, 11 * P))?;
        a?;
        b?;
        let size = region.info()?.size as usize;
        ensure!([5 * P + 1, 11 * P].contains(&size), "{size} bytes");
        check_bytes("contents", &bytes(&region)?[..5 * P + 1], &[1])?;
        check_bytes("contents", &bytes(&region)?[5 * P + 1..], &[0, 1])?;
        check_pages(&[&region])
    }),
    scenario("fork-truncate", |cx| {
        let region = ones(16 * P, LARGE)?;
        let shared = MapOptions::new(16 * P).map(&region)?;
        let private = MapOptions::new(16 * P).private().map(&region)?;
        shared.touch_read(2)?;
        private.touch_write(9, 2)?;
        private.touch_write(3, 2)?;
        let (forked, cut) = cx.race(fork_and_exit, || resize(&region, 6 * P))?;
        forked?;
        cut?;
        ensure!(private.touch_read(3)? == 2, "the private page is lost");
        ensure!(shared.touch_read(2)? == 1, "a page before EOF is lost");
        ensure!(shared.touch_read(9).is_err(), "a page past EOF is mapped");
        check_pages(&[&region])
    }),
    scenario("grow-fault", |cx| {
        let region = ones(2 * P + 100, SMALL)?;
        let m = MapOptions::new(8 * P).map(&region)?;
        let (grown, touched) = cx.race(|| resize(&region, 8 * P), || m.touch_write(5, 7))?;
        grown?;
        let is_stored = stored(touched)?;
        ensure!(
            m.touch_read(5)? == if is_stored { 7 } else { 0 },
            "the store"
        );
        check_bytes("the tail", &bytes(&region)?[2 * P + 100..5 * P], &[0])?;
        check_pages(&[&region])
    }),
];

/// A fault on page 6 and a truncation to 4 pages.
fn fault(
    cx: &Cx<'_>,
    region: &Device,
    touch: fn(&Mapping) -> Result<(), rmmap_sys::Fault>,
) -> Result<()> {
    let size = region.info()?.size as usize;
    let m = MapOptions::new(size).map(region)?;
    let (touched, cut) = cx.race(|| touch(&m), || resize(region, 4 * P))?;
    cut?;
    stored(touched)?;
    check_pages(&[region])?;
    ensure!(m.touch_read(6).is_err(), "a page past EOF is mapped");
    resize(region, size)?;
    ensure!(m.touch_read(6)? == 0, "truncation left data");
    check_bytes("after EOF", &bytes(region)?[4 * P..], &[0])?;
    check_pages(&[region])
}

/// A write of 8 pages and a truncation to 4.
fn write(cx: &Cx<'_>, flags: u32) -> Result<()> {
    let region = ones(6 * P, flags)?;
    let (written, cut) = cx.race(
        || pwrite(&region, &[2; 8 * P], 0),
        || resize(&region, 4 * P),
    )?;
    cut?;
    ensure!(written? == 8 * P, "a short write");
    let size = region.info()?.size as usize;
    ensure!([4 * P, 8 * P].contains(&size), "{size} bytes");
    check_bytes("contents", &bytes(&region)?, &[2])?;
    check_pages(&[&region])
}
