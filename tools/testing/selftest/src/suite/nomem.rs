// SPDX-License-Identifier: GPL-2.0

//! Failed allocations of the module's own data.

use crate::context::{Context, P};
use crate::faults::Faults;
use crate::outcome::Result;
use crate::{cases, check, check_eq};
use rmmap_sys::{Errno, MapOptions};

cases! {
    Rmmap create_without_memory [] "CREATE, each of its allocations failing in turn: ENOMEM or a region that works, and nothing is left of the others", 60;
}

/// An upper bound for the allocations of CREATE.
const MANY: u32 = 200;

fn create_without_memory(cx: &Context) -> Result {
    let device = cx.device()?;
    let regions = device.info()?.regions;
    let faults = Faults::new()?;
    let mut refused = 0;
    for nth in 1..MANY {
        let (created, has_failed) = faults.fail(nth, || device.create(8 * P as u64, 0))?;
        match created {
            Err(Errno::NOMEM | Errno::FAULT | Errno::NFILE) if has_failed => refused += 1,
            // The kernel tolerates the failure of some.
            region => {
                let region = region?;
                let m = MapOptions::new(8 * P).map(&region)?;
                m.touch_write(7, 5)?;
                check_eq!(m.touch_read(7)?, 5, "allocation {nth}");
                check_eq!(device.info()?.regions, regions + 1, "allocation {nth}");
            }
        }
        check_eq!(device.info()?.regions, regions, "allocation {nth}");
        if !has_failed {
            // At least the module's data, an inode, a dentry and a file.
            check!(refused >= 4, "{refused} allocations of {nth} matter");
            return Ok(());
        }
    }
    Err(crate::outcome::Stop::fail(
        "CREATE makes no end of allocations",
    ))
}
