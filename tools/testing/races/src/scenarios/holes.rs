// SPDX-License-Identifier: GPL-2.0

//! Holes against faults, writes, allocation and splits.

use super::{scenario, Scenario};
use crate::cx::{bytes, check_bytes, check_pages, ones, region, Cx, LARGE, P, SMALL};
use anyhow::{ensure, Result};
use rmmap_sys::rustix::fs::{fallocate, FallocateFlags};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::rustix::mm::Advice;
use rmmap_sys::{Device, MapOptions};

/// All scenarios of this file.
pub const SCENARIOS: &[Scenario] = &[
    scenario("fault-discard", |cx| fault(cx, &region(8, SMALL)?)),
    scenario("fault-resident-discard", |cx| {
        fault(cx, &ones(8 * P, SMALL)?)
    }),
    scenario("fault-discard-large", |cx| fault(cx, &ones(16 * P, LARGE)?)),
    // A private mapping copies a page of the hole.
    scenario("copy-discard", |cx| {
        let region = ones(8 * P, SMALL)?;
        let m = MapOptions::new(8 * P).private().map(&region)?;
        m.touch_read(3)?;
        let (copied, discarded) =
            cx.race(|| m.touch_write(3, 7), || region.discard(0, 8 * P as u64))?;
        copied?;
        discarded?;
        let mut data = [0; P];
        m.read(3 * P, &mut data)?;
        let [first, second, rest @ ..] = &data[..] else {
            return Ok(());
        };
        ensure!(*first == 7, "the private store is lost");
        check_bytes("the copy", rest, std::slice::from_ref(second))?;
        check_bytes("the copy", rest, &[0, 1])?;
        check_bytes("the region", &bytes(&region)?, &[0])?;
        check_pages(&[&region])
    }),
    // The first store to a page that is mapped for reading.
    scenario("mkwrite-discard", |cx| {
        let region = ones(8 * P, SMALL)?;
        let m = MapOptions::new(8 * P).map(&region)?;
        m.touch_read(3)?;
        let (stored, discarded) =
            cx.race(|| m.touch_write(3, 7), || region.discard(0, 8 * P as u64))?;
        stored?;
        discarded?;
        let found = m.touch_read(3)?;
        ensure!([0, 7].contains(&found), "page 3 has {found}");
        check_bytes("the rest", &bytes(&region)?, &[0, 7])?;
        check_pages(&[&region])
    }),
    scenario("populate-discard", |cx| {
        let region = region(16, LARGE)?;
        let m = MapOptions::new(16 * P).map(&region)?;
        let (populated, discarded) = cx.race(
            || m.advise(0, 16 * P, Advice::LinuxPopulateWrite),
            || region.discard(0, 16 * P as u64),
        )?;
        populated?;
        discarded?;
        check_bytes("contents", &bytes(&region)?, &[0])?;
        check_pages(&[&region])
    }),
    // The write's folio is split at the same time.
    scenario("write-split", |cx| {
        let region = ones(16 * P, LARGE)?;
        let (written, discarded) = cx.race(
            || pwrite(&region, &[2; 8 * P], 4 * P as u64),
            || region.discard(8 * P as u64, 8 * P as u64),
        )?;
        ensure!(written? == 8 * P, "a short write");
        discarded?;
        let found = bytes(&region)?;
        check_bytes("before the write", &found[..4 * P], &[1])?;
        check_bytes("the write", &found[4 * P..8 * P], &[2])?;
        check_bytes("the hole", &found[8 * P..12 * P], &[0, 2])?;
        check_bytes("after the write", &found[12 * P..], &[0])?;
        check_pages(&[&region])
    }),
    scenario("fault-split", |cx| {
        let region = ones(16 * P, LARGE)?;
        let m = MapOptions::new(16 * P).map(&region)?;
        let (stored, discarded) = cx.race(
            || m.touch_write(3, 7),
            || region.discard(8 * P as u64, 3 * P as u64),
        )?;
        stored?;
        discarded?;
        ensure!(m.touch_read(3)? == 7, "the store is lost");
        let found = bytes(&region)?;
        check_bytes("before the hole", &found[..8 * P], &[1, 7])?;
        check_bytes("the hole", &found[8 * P..11 * P], &[0])?;
        check_bytes("after the hole", &found[11 * P..], &[1])?;
        check_pages(&[&region])
    }),
    scenario("discard-discard", |cx| {
        let region = ones(16 * P, LARGE)?;
        let (a, b) = cx.race(
            || region.discard(0, 10 * P as u64),
            || region.discard(6 * P as u64, 8 * P as u64),
        )?;
        a?;
        b?;
        let found = bytes(&region)?;
        check_bytes("the holes", &found[..14 * P], &[0])?;
        check_bytes("after the holes", &found[14 * P..], &[1])?;
        check_pages(&[&region])
    }),
    scenario("allocate-allocate", |cx| {
        let region = region(16, LARGE)?;
        let (a, b) = cx.race(
            || region.allocate(0, 12 * P as u64),
            || region.allocate(4 * P as u64, 12 * P as u64),
        )?;
        a?;
        b?;
        ensure!(
            region.info()?.resident == 16 * P as u64,
            "pages are missing"
        );
        check_pages(&[&region])
    }),
    scenario("allocate-discard", |cx| {
        let region = region(16, LARGE)?;
        let (a, b) = cx.race(
            || region.allocate(0, 16 * P as u64),
            || region.discard(0, 16 * P as u64),
        )?;
        a?;
        b?;
        let resident = region.info()?.resident;
        ensure!(
            [0, 16 * P as u64].contains(&resident),
            "{resident} bytes are resident"
        );
        check_pages(&[&region])
    }),
    scenario("allocate-fault", |cx| {
        let region = region(16, LARGE)?;
        let m = MapOptions::new(16 * P).map(&region)?;
        let (allocated, stored) =
            cx.race(|| region.allocate(0, 16 * P as u64), || m.touch_write(5, 7))?;
        allocated?;
        stored?;
        ensure!(m.touch_read(5)? == 7, "the store is lost");
        ensure!(
            region.info()?.resident == 16 * P as u64,
            "pages are missing"
        );
        check_pages(&[&region])
    }),
    scenario("write-fault", |cx| {
        let region = region(8, LARGE)?;
        let m = MapOptions::new(8 * P).map(&region)?;
        let (written, stored) = cx.race(
            || pwrite(&region, &[2; 2 * P], 2 * P as u64 + 8),
            || m.touch_write(3, 7),
        )?;
        ensure!(written? == 2 * P, "a short write");
        stored?;
        let found = bytes(&region)?;
        check_bytes("before the write", &found[..2 * P + 8], &[0])?;
        check_bytes("the write", &found[2 * P + 8..4 * P + 8], &[2, 7])?;
        check_bytes("after the write", &found[4 * P + 8..], &[0])?;
        check_pages(&[&region])
    }),
    scenario("write-punch", |cx| {
        let region = ones(8 * P, SMALL)?;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let (written, punched) = cx.race(
            || pwrite(&region, &[2; 4 * P], 100),
            || fallocate(&region, flags, 50, 3 * P as u64),
        )?;
        ensure!(written? == 4 * P, "a short write");
        punched?;
        let found = bytes(&region)?;
        check_bytes("before the hole", &found[..50], &[1])?;
        check_bytes("the hole", &found[100..3 * P + 50], &[0, 2])?;
        let mixed = found[100..3 * P + 50]
            .windows(2)
            .any(|two| two[0] != two[1]);
        ensure!(!mixed, "a mix of write and hole");
        check_bytes("after the hole", &found[3 * P + 50..4 * P + 100], &[2])?;
        check_bytes("after the write", &found[4 * P + 100..], &[1])?;
        check_pages(&[&region])
    }),
];

/// A store to page 3, and a hole over all pages.
fn fault(cx: &Cx<'_>, region: &Device) -> Result<()> {
    let size = region.info()?.size as usize;
    let m = MapOptions::new(size).map(region)?;
    let (stored, discarded) = cx.race(|| m.touch_write(3, 7), || region.discard(0, size as u64))?;
    stored?;
    discarded?;
    let found = bytes(region)?;
    ensure!(
        [0, 7].contains(&found[3 * P]),
        "page 3 has {}",
        found[3 * P]
    );
    check_bytes("contents", &found, &[0, 7])?;
    // What the mapping shows and what read(2) shows is the same memory.
    m.touch_write(3, 8)?;
    ensure!(bytes(region)?[3 * P] == 8, "the mapping has another page");
    check_pages(&[region])
}
