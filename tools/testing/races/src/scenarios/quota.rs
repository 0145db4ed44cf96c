// SPDX-License-Identifier: GPL-2.0

//! The quota near its limit, and the limit on regions.

use super::{scenario, Scenario};
use crate::cx::{ballast, check_pages, ones, region, stored, Cx, LARGE, P, QUOTA, REGIONS, SMALL};
use crate::plugin::BEGIN;
use anyhow::{ensure, Result};
use rmmap_sys::rustix::fs::{fallocate, FallocateFlags};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::{Device, Errno, MapOptions};

/// All scenarios of this file.
pub const SCENARIOS: &[Scenario] = &[
    // Two regions need the last page: one gets it.
    scenario("fault-fault-other-region", |cx| {
        let (full, one, other) = (ballast(1)?, region(1, SMALL)?, region(1, SMALL)?);
        let m = MapOptions::new(P).map(&one)?;
        let n = MapOptions::new(P).map(&other)?;
        let (a, b) = cx.race(|| m.touch_write(0, 1), || n.touch_write(0, 1))?;
        let got = [stored(a)?, stored(b)?];
        ensure!(
            got.iter().filter(|got| **got).count() == 1,
            "got the page: {got:?}"
        );
        check_pages(&[&full, &one, &other])?;
        ensure!(
            full.info()?.used_bytes == (QUOTA * P) as u64,
            "the page is not in use"
        );
        Ok(())
    }),
    // Both need it for the same page: both get it, see `check_both()`.
    scenario("fault-fault-last-page", |cx| {
        let (full, region) = (ballast(1)?, region(1, SMALL)?);
        let m = MapOptions::new(P).map(&region)?;
        let other = MapOptions::new(P).map(&region)?;
        let (a, b) = cx.race(|| m.touch_write(0, 1), || other.touch_read(0))?;
        check_both(cx, a.is_ok(), b.is_ok())?;
        m.touch_write(0, 1)?;
        check_pages(&[&full, &region])
    }),
    scenario("fault-write-last-page", |cx| {
        let (full, region) = (ballast(1)?, region(1, SMALL)?);
        let m = MapOptions::new(P).map(&region)?;
        let (a, b) = cx.race(|| m.touch_read(0), || pwrite(&region, &[2; P], 0))?;
        check_both(cx, a.is_ok(), b == Ok(P))?;
        let found = m.touch_read(0)?;
        ensure!(b.is_err() || found == 2, "the write is lost");
        check_pages(&[&full, &region])
    }),
    scenario("fault-allocate-last-page", |cx| {
        let (full, region) = (ballast(1)?, region(1, SMALL)?);
        let m = MapOptions::new(P).map(&region)?;
        let (a, b) = cx.race(|| m.touch_write(0, 3), || region.allocate(0, P as u64))?;
        check_both(cx, a.is_ok(), b.is_ok())?;
        let found = m.touch_read(0)?;
        ensure!(a.is_err() || found == 3, "the store is lost");
        check_pages(&[&full, &region])
    }),
    // Two regions need more than is left: they get all of it.
    scenario("write-write-other-region", |cx| {
        let (full, one, other) = (ballast(6)?, region(0, SMALL)?, region(0, LARGE)?);
        let (a, b) = cx.race(
            || pwrite(&one, &[1; 4 * P], 0),
            || pwrite(&other, &[1; 4 * P], 0),
        )?;
        let got = [a.unwrap_or(0), b.unwrap_or(0)];
        ensure!(got[0] + got[1] == 6 * P, "wrote {got:?}");
        check_pages(&[&full, &one, &other])
    }),
    // A page that is freed can be charged afterwards.
    scenario("fault-discard-other-region", |cx| {
        let (full, one, other) = (ballast(1)?, ones(P, SMALL)?, region(1, SMALL)?);
        let m = MapOptions::new(P).map(&other)?;
        let (a, b) = cx.race(|| m.touch_write(0, 1), || one.discard(0, P as u64))?;
        stored(a)?;
        b?;
        m.touch_write(0, 1)?;
        check_pages(&[&full, &one, &other])
    }),
    // The stocks of pages of each processor, which exist where the quota is far from its limit.
    scenario("allocate-discard-stocks", |cx| stocks(cx, 560, 500)),
    scenario("allocate-discard-near-stocks", |cx| stocks(cx, 300, 40)),
    scenario("fault-fault-stocks", |cx| {
        let (one, other) = (region(40, SMALL)?, region(40, SMALL)?);
        let m = MapOptions::new(40 * P).map(&one)?;
        let n = MapOptions::new(40 * P).map(&other)?;
        let (a, b) = cx.race(|| m.touch_write(3, 1), || n.touch_write(3, 1))?;
        a?;
        b?;
        check_pages(&[&one, &other])?;
        use_all(&[&one, &other])
    }),
    // fallocate(2) takes all or nothing.
    scenario("allocate-fails-fault", |cx| {
        let (full, region) = (ballast(6)?, region(8, SMALL)?);
        let m = MapOptions::new(8 * P).map(&region)?;
        let (a, b) = cx.race(|| region.allocate(0, 8 * P as u64), || m.touch_write(3, 7))?;
        ensure!(a == Err(Errno::NOSPC), "{a:?}");
        let is_stored = stored(b)?;
        let wanted = u64::from(is_stored) * P as u64;
        let resident = region.info()?.resident;
        ensure!(resident == wanted, "{resident} bytes are resident");
        ensure!(
            m.touch_read(3)? == if is_stored { 7 } else { 0 },
            "the store"
        );
        check_pages(&[&full, &region])
    }),
    scenario("allocate-fails-grow-fault", |cx| {
        let (full, region) = (ballast(6)?, region(2, LARGE)?);
        let m = MapOptions::new(8 * P).map(&region)?;
        let flags = FallocateFlags::empty();
        let (a, b) = cx.race(
            || fallocate(&region, flags, 0, 9 * P as u64),
            || m.touch_write(1, 7),
        )?;
        ensure!(a == Err(Errno::NOSPC), "{a:?}");
        let is_stored = stored(b)?;
        ensure!(
            m.touch_read(1)? == if is_stored { 7 } else { 0 },
            "the store"
        );
        check_pages(&[&full, &region])
    }),
    // The limit on regions.
    scenario("create-create-last", |cx| {
        let device = Device::open()?;
        let made: Result<Vec<_>, _> = (1..REGIONS).map(|_| device.create(0, SMALL)).collect();
        let made = made?;
        let (a, b) = cx.race(|| device.create(0, SMALL), || device.create(0, SMALL))?;
        let got = [a.as_ref().err(), b.as_ref().err()];
        let refused = got
            .iter()
            .filter(|error| **error == Some(&Errno::NFILE))
            .count();
        ensure!(refused == 1 && got.contains(&None), "{got:?}");
        drop(made);
        Ok(())
    }),
    scenario("create-close-last", |cx| {
        let device = Device::open()?;
        let made: Result<Vec<_>, _> = (1..REGIONS).map(|_| device.create(0, SMALL)).collect();
        let (last, _made) = (device.create(0, SMALL)?, made?);
        let (a, ()) = cx.race(|| device.create(0, SMALL), || drop(last))?;
        ensure!(matches!(a, Ok(_) | Err(Errno::NFILE)), "{:?}", a.err());
        drop(a);
        device.create(0, SMALL)?;
        Ok(())
    }),
];

/// Checks who got the last page. The role that is delayed must: either it charged the page, or the
/// other one has added it meanwhile. The other one may come when the page is charged and not added
/// yet, and is refused then.
fn check_both(cx: &Cx<'_>, a: bool, b: bool) -> Result<()> {
    let first = [a, b][cx.delay.first];
    ensure!(first, "it has the last page, or finds it, and is refused");
    ensure!(
        (a && b) || cx.delay.point > BEGIN,
        "one after the other, one is refused"
    );
    Ok(())
}

/// One region allocates `pages` with `free` of them left, another one frees as many.
fn stocks(cx: &Cx<'_>, free: usize, pages: usize) -> Result<()> {
    let (one, other) = (region(pages, LARGE)?, region(pages, LARGE)?);
    other.allocate(0, (pages * P) as u64)?;
    let full = ballast(free + pages)?;
    let (a, b) = cx.race(
        || one.allocate(0, (pages * P) as u64),
        || other.discard(0, (pages * P) as u64),
    )?;
    a?;
    b?;
    check_pages(&[&full, &one, &other])?;
    use_all(&[&full, &one, &other])
}

/// Checks that all of the quota can be used, and no more.
fn use_all(regions: &[&Device]) -> Result<()> {
    let used = regions[0].info()?.used_bytes;
    let rest = (QUOTA * P) as u64 - used;
    let last = region(QUOTA, LARGE)?;
    last.allocate(0, rest)?;
    let more = last.allocate(rest, P as u64);
    ensure!(
        used == 0 || more == Err(Errno::NOSPC),
        "a page too many: {more:?}"
    );
    let mut all = regions.to_vec();
    all.push(&last);
    check_pages(&all)
}
