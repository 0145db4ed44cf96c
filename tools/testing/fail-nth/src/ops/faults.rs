// SPDX-License-Identifier: GPL-2.0

//! Accesses to mapped memory.

use crate::op::{byte, filled, op, region, Answer, Cx, Op, BUS, P};
use anyhow::{ensure, Result};
use rmmap_sys::uapi::*;
use rmmap_sys::{Device, MapOptions, Mapping};

/// All operations of this file.
pub const OPS: &[Op] = &[
    op("load from a hole", BUS, |cx| {
        let m = MapOptions::new(8 * P).map(region(8, RMMAP_CREATE_NEVER)?)?;
        load(cx, &m, 3, 0)
    }),
    op("store to a hole", BUS, |cx| {
        let m = MapOptions::new(8 * P).map(region(8, RMMAP_CREATE_NEVER)?)?;
        store(cx, &m, 3)
    }),
    op("store to a hole, large folios", BUS, |cx| {
        let m = MapOptions::new(600 * P).map(region(600, RMMAP_CREATE_ALWAYS)?)?;
        store(cx, &m, 70)
    }),
    op(
        "load from a hole after a run of pages, single pages",
        BUS,
        |cx| {
            let region = filled(32, RMMAP_CREATE_NEVER)?;
            rmmap_sys::rustix::fs::ftruncate(&region, 128 * P as u64)?;
            let m = MapOptions::new(128 * P).map(region)?;
            load(cx, &m, 32, 0)
        },
    ),
    op(
        "store to a hole after a run of pages, adaptive",
        BUS,
        |cx| {
            let region = filled(32, RMMAP_CREATE_ADAPTIVE)?;
            rmmap_sys::rustix::fs::ftruncate(&region, 128 * P as u64)?;
            let m = MapOptions::new(128 * P).map(region)?;
            store(cx, &m, 32)
        },
    ),
    op("store to a hole of the device", BUS, |cx| {
        let m = MapOptions::new(8 * P).map(Device::open()?)?;
        store(cx, &m, 3)
    }),
    op("load from resident pages", BUS, |cx| {
        let m = MapOptions::new(40 * P).map(filled(40, RMMAP_CREATE_NEVER)?)?;
        load(cx, &m, 20, byte(20))
    }),
    op("load from a resident huge page", BUS, |cx| {
        let region = region(512, RMMAP_CREATE_ALWAYS)?;
        region.allocate(0, 512 * P as u64)?;
        let m = MapOptions::new(512 * P).map(region)?;
        load(cx, &m, 20, 0)
    }),
    op("store after a load", BUS, |cx| {
        let m = MapOptions::new(40 * P).map(filled(40, RMMAP_CREATE_NEVER)?)?;
        ensure!(m.touch_read(20)? == byte(20), "contents");
        store(cx, &m, 20)
    }),
    op("private load from a hole", BUS, |cx| {
        let m = MapOptions::new(8 * P).private().map(region(8, 0)?)?;
        load(cx, &m, 3, 0)
    }),
    op("private store to a hole", BUS, |cx| {
        let m = MapOptions::new(8 * P).private().map(region(8, 0)?)?;
        store(cx, &m, 3)
    }),
    op("private store to a resident page", BUS, |cx| {
        let region = filled(40, RMMAP_CREATE_NEVER)?;
        let m = MapOptions::new(40 * P).private().map(&region)?;
        let answer = store(cx, &m, 20)?;
        crate::op::check_filled(&region, 40)?;
        Ok(answer)
    }),
    op("private store after a load", BUS, |cx| {
        let region = filled(40, RMMAP_CREATE_NEVER)?;
        let m = MapOptions::new(40 * P).private().map(&region)?;
        ensure!(m.touch_read(20)? == byte(20), "contents");
        let answer = store(cx, &m, 20)?;
        crate::op::check_filled(&region, 40)?;
        Ok(answer)
    }),
];

fn load(cx: &Cx<'_>, m: &Mapping, page: usize, wanted: u8) -> Result<Answer> {
    let loaded = cx.call(|| m.touch_read(page))?;
    if let Ok(found) = loaded {
        ensure!(found == wanted, "loaded {found}, not {wanted}");
    }
    let found = m.touch_read(page)?;
    ensure!(
        found == wanted,
        "the second load finds {found}, not {wanted}"
    );
    Ok(Answer::from(&loaded))
}

fn store(cx: &Cx<'_>, m: &Mapping, page: usize) -> Result<Answer> {
    let answer = super::store(cx, m, page)?;
    let mut rest = vec![0; P - 1];
    m.read(page * P + 1, &mut rest)?;
    let first = rest[0];
    let is_old = first == 0 || first == byte(page);
    ensure!(
        is_old && rest.iter().all(|b| *b == first),
        "the page's other bytes"
    );
    Ok(answer)
}
