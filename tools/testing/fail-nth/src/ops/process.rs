// SPDX-License-Identifier: GPL-2.0

//! Processes that have regions mapped, and the memory of others.

use crate::op::{byte, filled, op, region, Answer, Op, COPIES, P};
use anyhow::ensure;
use rmmap_sys::uapi::*;
use rmmap_sys::{fork, End, Errno, MapOptions};

/// fork(2), and the pair of sockets for the child.
const FORKS: &[Answer] = &[
    Answer::Failed(Errno::NOMEM),
    Answer::Failed(Errno::AGAIN),
    Answer::Failed(Errno::FAULT),
    Answer::Failed(Errno::NFILE),
];

/// All operations of this file.
pub const OPS: &[Op] = &[
    op("fork with a shared and a private mapping", FORKS, |cx| {
        let region = filled(8, RMMAP_CREATE_NEVER)?;
        let shared = MapOptions::new(8 * P).map(&region)?;
        let private = MapOptions::new(8 * P).private().map(&region)?;
        private.touch_write(3, 0xee)?;
        shared.touch_read(3)?;
        let child = cx.call(|| {
            fork(|_| {
                let found = (shared.touch_read(3), private.touch_read(3));
                i32::from(found != (Ok(byte(3)), Ok(0xee)))
            })
        })?;
        let answer = Answer::from(&child);
        if let Ok(mut child) = child {
            let end = child.wait()?;
            ensure!(end == End::Exited(0), "the child ends with {end:?}");
        }
        ensure!(private.touch_read(3)? == 0xee, "the private page");
        ensure!(shared.touch_read(3)? == byte(3), "the shared page");
        Ok(answer)
    }),
    op("process_vm_writev to a hole", COPIES, |cx| {
        let m = MapOptions::new(8 * P).map(region(8, RMMAP_CREATE_NEVER)?)?;
        let data = vec![0xee; 2 * P];
        let written = cx.call(|| m.write_remotely(P, &data))?;
        let len = written.unwrap_or(0);
        for page in 0..8 {
            let is_written = page >= 1 && page * P < P + len;
            let found = m.touch_read(page)?;
            let wanted = if is_written { 0xee } else { 0 };
            ensure!(found == wanted, "page {page} has {found} after {written:?}");
        }
        Ok(Answer::from(&written))
    }),
];
