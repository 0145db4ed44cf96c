// SPDX-License-Identifier: GPL-2.0

//! The operations.

mod faults;
mod files;
mod maps;
mod process;
mod regions;
pub mod samples;

use crate::op::{Answer, Cx, Op};
use anyhow::{ensure, Result};
use rmmap_sys::Mapping;

/// The operations by what they are about.
pub const GROUPS: &[(&str, &[Op])] = &[
    ("region", regions::OPS),
    ("file", files::OPS),
    ("mapping", maps::OPS),
    ("fault", faults::OPS),
    ("process", process::OPS),
];

/// Stores a byte, again if the first store fails, and checks that it is there.
fn store(cx: &Cx<'_>, m: &Mapping, page: usize) -> Result<Answer> {
    let stored = cx.call(|| m.touch_write(page, 0xee))?;
    if stored.is_err() {
        m.touch_write(page, 0xee)?;
    }
    ensure!(m.touch_read(page)? == 0xee, "the store is lost");
    Ok(Answer::from(&stored))
}
