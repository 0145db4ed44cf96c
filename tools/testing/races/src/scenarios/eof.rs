// SPDX-License-Identifier: GPL-2.0

//! read(2) and write(2) against changes of the size and the pages that they meet.

use super::{scenario, Scenario};
use crate::cx::{bytes, check_bytes, check_pages, ones, region, resize, Cx, LARGE, P, SMALL};
use anyhow::{ensure, Result};
use rmmap_sys::rustix::fs::{fcntl_setfl, OFlags};
use rmmap_sys::rustix::io::{pread, pwrite, write};
use rmmap_sys::Device;

/// All scenarios of this file.
pub const SCENARIOS: &[Scenario] = &[
    // A read never shows zeroes that nobody wrote.
    scenario("read-append", |cx| append(cx, 100, SMALL)),
    scenario("append-append", |cx| {
        let region = region(0, SMALL)?;
        fcntl_setfl(&region, OFlags::APPEND)?;
        let (a, b) = cx.race(
            || write(&region, &[1; P + 100]),
            || write(&region, &[2; P + 200]),
        )?;
        ensure!((a?, b?) == (P + 100, P + 200), "a short write");
        let found = bytes(&region)?;
        let ones = found.iter().filter(|byte| **byte == 1).count();
        let changes = found.windows(2).filter(|two| two[0] != two[1]).count();
        ensure!(
            (found.len(), ones, changes) == (2 * P + 300, P + 100, 1),
            "{} bytes, {ones} of them of A, {changes} changes",
            found.len()
        );
        check_pages(&[&region])
    }),
    scenario("read-append-page", |cx| append(cx, P, SMALL)),
    scenario("read-append-large", |cx| append(cx, P, LARGE)),
    scenario("read-append-empty", |cx| append(cx, 0, SMALL)),
    scenario("read-truncate", |cx| cut(cx, ones(8 * P, SMALL)?)),
    scenario("read-truncate-large", |cx| cut(cx, ones(16 * P, LARGE)?)),
    scenario("read-discard", |cx| {
        let region = ones(16 * P, LARGE)?;
        let mut data = vec![9; 16 * P];
        let (read, discarded) = cx.race(
            || pread(&region, &mut data[..], 0),
            || region.discard(4 * P as u64, 8 * P as u64),
        )?;
        discarded?;
        ensure!(read? == data.len(), "a short read");
        check_bytes("before the hole", &data[..4 * P], &[1])?;
        check_bytes("in the hole", &data[4 * P..12 * P], &[0, 1])?;
        check_bytes("after the hole", &data[12 * P..], &[1])?;
        check_pages(&[&region])
    }),
    scenario("write-write", |cx| {
        let region = region(0, LARGE)?;
        let (a, b) = cx.race(
            || pwrite(&region, &[1; 6 * P], 0),
            || pwrite(&region, &[2; 6 * P], 2 * P as u64),
        )?;
        ensure!((a?, b?) == (6 * P, 6 * P), "a short write");
        let found = bytes(&region)?;
        check_bytes("A's", &found[..2 * P], &[1])?;
        ensure!(
            found[2 * P..6 * P].windows(2).all(|two| two[0] == two[1]),
            "a mix"
        );
        check_bytes("B's", &found[6 * P..], &[2])?;
        check_pages(&[&region])
    }),
];

/// A read of all, and an append of 5000 bytes to `size`.
fn append(cx: &Cx<'_>, size: usize, flags: u32) -> Result<()> {
    const MORE: usize = 5000;
    let region = ones(size, flags)?;
    let mut data = vec![9; 4 * P];
    let (read, written) = cx.race(
        || pread(&region, &mut data[..], 0),
        || pwrite(&region, &[2; MORE], size as u64),
    )?;
    ensure!(written? == MORE, "a short write");
    let read = read?;
    ensure!(read >= size && read <= size + MORE, "read {read} bytes");
    check_bytes("before the append", &data[..size], &[1])?;
    check_bytes("the append", &data[size..read], &[2])?;
    check_pages(&[&region])
}

/// A read of all, and a truncation to four pages and a half.
fn cut(cx: &Cx<'_>, region: Device) -> Result<()> {
    const LEFT: usize = 4 * P + P / 2;
    let size = region.info()?.size as usize;
    let mut data = vec![9; size];
    let (read, cut) = cx.race(
        || pread(&region, &mut data[..], 0),
        || resize(&region, LEFT),
    )?;
    cut?;
    let read = read?;
    ensure!(read >= LEFT, "read {read} bytes");
    check_bytes("what was read", &data[..LEFT], &[1])?;
    check_bytes("what was cut", &data[LEFT..read], &[1])?;
    check_pages(&[&region])
}
