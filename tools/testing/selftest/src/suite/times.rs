// SPDX-License-Identifier: GPL-2.0

//! mtime and ctime of a file of memory.

use crate::area::Area;
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::{cases, check, check_eq};
use rmmap_sys::rustix::fs::{
    fallocate, fstat, ftruncate, futimens, FallocateFlags, Timespec, Timestamps,
};

cases! {
    File changes_set_the_times [] "write(2), truncation, fallocate and hole punching set mtime and ctime";
    File stores_set_the_times [] "the fault of a shared store sets mtime and ctime, as that of a page cache file does";
    File reads_leave_the_times [] "reads, private stores, and calls that fail leave mtime as it is";
}

/// Sets mtime to a second after the epoch.
fn age(area: &Area) -> Result {
    let old = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: old,
        last_modification: old,
    };
    futimens(area, &times)?;
    check_eq!(fstat(area)?.st_mtime, 1);
    Ok(())
}

/// Checks that both times are those of a change since [`age`].
#[track_caller]
fn check_new(area: &Area, what: &str) -> Result {
    let stat = fstat(area)?;
    check!(stat.st_mtime > 1, "{what} left mtime as it was");
    let mtime = (stat.st_mtime, stat.st_mtime_nsec);
    check_eq!(
        (stat.st_ctime, stat.st_ctime_nsec),
        mtime,
        "ctime after {what}"
    );
    Ok(())
}

fn changes_set_the_times(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let page = P as u64;
    type Change<'a> = (&'a str, &'a dyn Fn() -> Result);
    let changes: [Change<'_>; 7] = [
        ("write(2) into a hole", &|| area.write(0, &[1; 8])),
        ("write(2) over bytes", &|| area.write(0, &[2; 8])),
        ("ftruncate to less", &|| Ok(ftruncate(&area, 3 * page)?)),
        ("ftruncate to more", &|| Ok(ftruncate(&area, 8 * page)?)),
        ("fallocate", &|| {
            Ok(fallocate(&area, FallocateFlags::KEEP_SIZE, 0, page)?)
        }),
        ("fallocate that grows", &|| {
            Ok(fallocate(&area, FallocateFlags::empty(), 8 * page, page)?)
        }),
        ("hole punching", &|| Ok(fallocate(&area, punch, 0, page)?)),
    ];
    for (what, change) in changes {
        age(&area)?;
        change()?;
        check_new(&area, what)?;
    }
    age(&area)?;
    area.discard(0, 1)?;
    check_new(&area, "DISCARD")
}

fn stores_set_the_times(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let m = area.map()?;
    age(&area)?;
    m.touch_write(5, 1)?;
    check_new(&area, "a store to a hole")?;
    area.write(2 * P, &[1; 8])?;
    let other = area.map()?;
    age(&area)?;
    other.touch_write(2, 1)?;
    check_new(&area, "a store to a page that is present")?;
    // Stores in order, of which one fault maps several pages.
    let long = cx.single_pages(512)?;
    let m = long.map()?;
    for page in 0..128 {
        m.touch_write(page, 1)?;
    }
    age(&long)?;
    for page in 128..256 {
        m.touch_write(page, 1)?;
    }
    check_new(&long, "stores in order")
}

fn reads_leave_the_times(cx: &Context) -> Result {
    let area = cx.area(8)?;
    area.write(0, &[1; 8])?;
    let (m, private) = (area.map()?, area.whole().private().map(&area)?);
    age(&area)?;
    area.read(0, 2 * P)?;
    m.touch_read(0)?;
    m.touch_read(4)?;
    private.touch_write(0, 2)?;
    private.touch_write(6, 2)?;
    let punch = FallocateFlags::PUNCH_HOLE;
    check!(fallocate(&area, punch, 0, P as u64).is_err());
    check_eq!(fstat(&area)?.st_mtime, 1);
    Ok(())
}
