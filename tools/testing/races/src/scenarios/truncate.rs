// SPDX-License-Identifier: GPL-2.0

//! Truncation.

use super::{scenario, Scenario};
use crate::cx::{check_pages, region, P, SMALL};
use anyhow::{bail, ensure};
use rmmap_sys::rustix::fs::ftruncate;
use rmmap_sys::MapOptions;

/// A fault on a page that truncation removes from the file.
pub const FAULT_TRUNCATE: Scenario = scenario("fault-truncate", |cx| {
    let region = region(8, SMALL)?;
    let m = MapOptions::new(8 * P).map(&region)?;
    let (touched, cut) = cx.race(|| m.touch_write(6, 7), || ftruncate(&region, 4 * P as u64))?;
    cut?;
    match touched {
        Ok(()) => {}
        Err(fault) if fault.is_beyond_end() => {}
        Err(fault) => bail!("A: {fault}"),
    }
    check_pages(&[&region])?;
    ensure!(m.touch_read(6).is_err(), "a page past EOF is mapped");
    ftruncate(&region, 8 * P as u64)?;
    ensure!(m.touch_read(6)? == 0, "truncation left data");
    Ok(())
});
