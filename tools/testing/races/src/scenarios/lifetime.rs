// SPDX-License-Identifier: GPL-2.0

//! The last close, and the module's end.

use super::{scenario, Scenario};
use crate::cx::{region, Cx, LARGE, P, SMALL};
use anyhow::{ensure, Result};
use rmmap_sys::{module, Device, Errno, MapOptions};

/// All scenarios of this file.
pub const SCENARIOS: &[Scenario] = &[
    scenario("close-unmap", |cx| {
        let region = region(16, LARGE)?;
        let m = MapOptions::new(16 * P).map(&region)?;
        m.touch_write(3, 1)?;
        cx.race(|| drop(region), || drop(m))?;
        Ok(())
    }),
    scenario("close-info", |cx| {
        let (device, region) = (Device::open()?, region(16, LARGE)?);
        region.allocate(0, 16 * P as u64)?;
        let ((), info) = cx.race(|| drop(region), || device.info())?;
        let used = info?.used_bytes;
        ensure!(used <= 16 * P as u64, "{used} bytes are charged");
        Ok(())
    }),
    scenario("close-rmmod", |cx| {
        let region = region(8, SMALL)?;
        region.allocate(0, 8 * P as u64)?;
        unload(cx, || drop(region))
    }),
    scenario("unmap-rmmod", |cx| {
        let m = MapOptions::new(8 * P).map(&region(8, SMALL)?)?;
        m.touch_write(3, 1)?;
        unload(cx, || drop(m))
    }),
    scenario("open-rmmod", |cx| unload(cx, || drop(Device::open()))),
    scenario("create-rmmod", |cx| unload(cx, || drop(region(1, SMALL)))),
];

/// An operation, and the end of the module, which may be in use.
fn unload(cx: &Cx<'_>, operation: impl FnOnce() + Send) -> Result<()> {
    let ((), unloaded) = cx.race(operation, || module::unload("rmmap"))?;
    match unloaded {
        Ok(()) => {}
        // Nothing uses it now.
        Err(Errno::WOULDBLOCK) => module::unload("rmmap")?,
        Err(error) => return Err(error.into()),
    }
    cx.load()
}
