// SPDX-License-Identifier: GPL-2.0

//! Commit accounting of mappings larger than memory, and of hooks that fail.

use crate::context::{Context, P};
use crate::ctl::Ctl;
use crate::outcome::{Result, Stop};
use crate::sysctl::Sysctl;
use crate::view::{check_flags, kb, vma_pages, vmas};
use crate::{cases, check, check_eq, check_err};
use rmmap_procfs::process::meminfo;
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::{Errno, MapOptions};

cases! {
    With("rmmap_ctl") ctl_commit_heuristic ["MR-12"] "1 TiB private and writable is too much; NORESERVE, shared, read-only or vm.overcommit_memory 1 are not";
    With("rmmap_ctl") ctl_commit_strict ["MR-13"] "vm.overcommit_memory 2: a MAP_FIXED that is too large leaves its victim, and a replaced mapping is not charged twice";
    With("rmmap_ctl") ctl_commit_of_a_failed_hook ["MR-23"] "a failing hook: its error, no VMA, no charge, no vm_ops->close";
}

/// Returns a field of `/proc/meminfo`, kB.
fn mem(name: &str) -> Result<u64> {
    let value = meminfo()?.get(name);
    value.ok_or_else(|| Stop::fail(format_args!("/proc/meminfo has no {name}")))
}

fn committed() -> Result<u64> {
    mem("Committed_AS")
}

/// Checks a number of kilobytes, up to the noise of the rest of the system.
#[track_caller]
fn check_near(what: &str, got: u64, want: u64) -> Result {
    const NOISE: u64 = 4 << 10;
    match got.abs_diff(want) < NOISE {
        true => Ok(()),
        false => Err(Stop::fail(format_args!(
            "{what} is {got} kB, expected about {want} kB"
        ))),
    }
}

fn ctl_commit_heuristic(_: &Context) -> Result {
    let overcommit = Sysctl::set("vm/overcommit_memory", 0)?;
    let ctl = Ctl::open("lazy")?;
    let all = MapOptions::new(1 << 40);
    check_err!(all.private().map(&ctl), Errno::NOMEM);
    check_eq!(ctl.get("hook")?, 0, "calls of the hook");
    let before = committed()?;
    for options in [
        all.private().flags(MapFlags::NORESERVE),
        all,
        all.private().read_only(),
    ] {
        let m = options.map(&ctl)?;
        check_flags(&m, &[], &["ac"])?;
        check_near("Committed_AS", committed()?, before)?;
    }
    overcommit.change(1)?;
    let m = all.private().map(&ctl)?;
    check_flags(&m, &["ac"], &[])?;
    check_near("Committed_AS", committed()?, before + (1 << 30))?;
    drop(m);
    check_near("Committed_AS", committed()?, before)
}

fn ctl_commit_strict(cx: &Context) -> Result {
    let ctl = Ctl::open("lazy")?;
    let mut window = cx.window((64 << 30) / P)?;
    let live = cx.region(16)?;
    window.map_over(4 * P, &MapOptions::new(16 * P), Some(&live))?;
    window.touch_write(5, 0x5a)?;
    let vmas_before = vmas(&window)?;

    let _strict = Sysctl::set("vm/overcommit_memory", 2)?;
    let before = committed()?;
    let huge = MapOptions::new(64 << 30).private();
    check_err!(ctl.map_at(&mut window, 0, huge), Errno::NOMEM);
    check_near("Committed_AS", committed()?, before)?;
    check_eq!((vmas(&window)?, window.touch_read(5)?), (vmas_before, 0x5a));
    check_eq!(ctl.get("hook")?, 0, "calls of the hook");

    let free = mem("CommitLimit")?.saturating_sub(committed()?);
    let part = (free / 4 * 3 * 1024) as usize / P;
    check!(part > 1024, "{free} kB are free to be committed");
    let mut window = cx.window(part)?;
    let before = committed()?;
    for _ in 0..2 {
        ctl.map_at(&mut window, 0, ctl.pages(part).private())?;
        check_near("Committed_AS", committed()?, before + kb(part))?;
    }
    check_flags(&window, &["ac"], &[])?;
    check_eq!(ctl.get("hook")?, 2);
    // There is no room for a second one.
    let other = ctl.pages(part).private().map(&ctl);
    check_err!(other, Errno::NOMEM);
    Ok(())
}

fn ctl_commit_of_a_failed_hook(cx: &Context) -> Result {
    for name in ["fail", "fail-prep"] {
        let ctl = Ctl::open(name)?;
        let pages = (64 << 20) / P;
        let mut window = cx.window(pages)?;
        let before = committed()?;
        for _ in 0..8 {
            let failed = ctl.pages(pages).private().map(&ctl);
            check_err!(failed, Errno::IO, "mmap of {name}");
        }
        check_near("Committed_AS", committed()?, before)?;
        let start = window.address();
        window.unmap(0, pages * P)?;
        let there = ctl.pages(pages).private().hint(start);
        check_err!(there.flags(MapFlags::FIXED_NOREPLACE).map(&ctl), Errno::IO);
        check_eq!(vma_pages(&window)?, []);
        check_eq!(ctl.counts(["hook", "close", "open"])?, [9, 0, 0]);
        check_near("Committed_AS", committed()?, before)?;
    }
    Ok(())
}
