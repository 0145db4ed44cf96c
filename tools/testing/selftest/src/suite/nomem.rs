// SPDX-License-Identifier: GPL-2.0

//! Failed allocations of the module's own data, and of the core when it splits a folio.

use crate::context::{Context, P, PMD};
use crate::faults::Faults;
use crate::outcome::Result;
use crate::{cases, check, check_eq};
use rmmap_sys::rustix::fs::ftruncate;
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::uapi::RMMAP_CREATE_ALWAYS;
use rmmap_sys::{Errno, MapOptions};

cases! {
    Rmmap create_without_memory [] "CREATE, each of its allocations failing in turn: ENOMEM or a region that works, and a failed call leaves nothing", 60;
    Rmmap discard_without_memory [] "DISCARD of a part of a large folio, each of its allocations failing in turn: the bytes before and after the hole stay", 60;
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
            // The kernel tolerates some failures.
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
        "CREATE does not run out of allocations",
    ))
}

fn discard_without_memory(cx: &Context) -> Result {
    const PAGES: usize = PMD / P;
    let (hole, end) = (70 * P, 170 * P);
    let region = cx.device()?.create(0, RMMAP_CREATE_ALWAYS)?;
    let faults = Faults::new()?;
    let mut failures = 0;
    for nth in 1..MANY {
        ftruncate(&region, 0)?;
        check_eq!(pwrite(&region, &vec![0x5a; PAGES * P], 0)?, PAGES * P);
        let discard = || region.discard(hole as u64, (end - hole) as u64);
        let (discarded, has_failed) = faults.fail(nth, discard)?;
        // The ioctl's argument is a copy from the program.
        let expected = match discarded {
            Err(Errno::FAULT) if has_failed => 0x5a,
            discarded => discarded.map(|()| 0)?,
        };
        let mut bytes = vec![0; PAGES * P];
        check_eq!(pread(&region, &mut bytes, 0)?, PAGES * P);
        let is = |i: usize| {
            if (hole..end).contains(&i) {
                expected
            } else {
                0x5a
            }
        };
        let wrong = (0..PAGES * P).find(|i| bytes[*i] != is(*i));
        check_eq!(wrong, None, "the first wrong byte, allocation {nth}");
        failures += u32::from(has_failed);
        if !has_failed {
            check!(failures >= 2, "{failures} allocations failed");
            return Ok(());
        }
    }
    Err(crate::outcome::Stop::fail(
        "DISCARD does not run out of allocations",
    ))
}
