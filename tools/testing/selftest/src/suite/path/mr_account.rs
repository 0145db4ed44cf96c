// SPDX-License-Identifier: GPL-2.0

//! mmap_region() and commit accounting: the memory that it charges, and the mappings that it
//! refuses.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::hugepool::{HugePool, HUGE};
use crate::outcome::{Result, Stop};
use crate::sysctl::Sysctl;
use crate::view::{check_flags, vma_pages, vmas};
use crate::{cases, check, check_eq, check_err};
use rmmap_procfs::process::meminfo;
use rmmap_sys::process::drop_capabilities;
use rmmap_sys::rustix::mm::{MapFlags, MprotectFlags};
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{Errno, MapOptions};
use std::fs::File;

cases! {
    Rmmap private_writable_is_charged ["MR-11"] "private writable mappings of the device are charged (`ac`, Committed_AS), no others; hugetlb is not";
    Rmmap strict_commit_keeps_victim ["MR-13"] "overcommit_memory 2: MAP_FIXED of 64 GiB is ENOMEM before the hook, victim and Committed_AS as before";
    Rmmap shared_anonymous_is_charged_by_shmem ["MR-31"] "control: shared anonymous memory is charged, but not as `ac`";
    Rmmap shared_anonymous_needs_a_file ["MR-32"] "control: shared anonymous memory at fs.file-max is ENFILE; the device needs no new file";
    Rmmap shared_anonymous_beyond_memory ["MR-32"] "control: 1 TiB of shared anonymous memory is ENOMEM, with MAP_NORESERVE it is not";
}

/// A mapping large enough to show in Committed_AS.
const BIG: usize = 64 << 20;

/// The noise in Committed_AS from other processes, kB.
const SLACK: i64 = 4 << 10;

/// Returns the committed memory (`Committed_AS`), kB.
#[track_caller]
fn committed() -> Result<i64> {
    let kb = meminfo()?.get("Committed_AS");
    let kb = kb.ok_or_else(|| Stop::fail("/proc/meminfo has no Committed_AS"))?;
    Ok(kb as i64)
}

/// Checks that this many bytes are charged on top of the earlier value.
#[track_caller]
fn check_charged(before: i64, bytes: usize) -> Result {
    let (got, want) = (committed()? - before, (bytes >> 10) as i64);
    match (want - SLACK..=want + SLACK).contains(&got) {
        true => Ok(()),
        false => Err(Stop::fail(format_args!(
            "Committed_AS grew by {got} kB, expected {want} kB"
        ))),
    }
}

/// Returns options for shared anonymous memory.
fn shared_anonymous(bytes: usize) -> MapOptions {
    MapOptions::new(bytes)
}

fn private_writable_is_charged(_: &Context) -> Result {
    let area = Area::new(Kind::Device, BIG / P)?;
    let before = committed()?;
    let m = area.whole().private().map(&area)?;
    check_flags(&m, &["ac"], &[])?;
    check_charged(before, BIG)?;
    drop(m);
    check_charged(before, 0)?;

    let shared = area.map()?;
    check_flags(&shared, &["wr"], &["ac"])?;
    check_charged(before, 0)?;

    let m = area.whole().private().read_only().map(&area)?;
    check_flags(&m, &["mw"], &["ac"])?;
    check_charged(before, 0)?;
    m.protect(0, m.len(), MprotectFlags::READ | MprotectFlags::WRITE)?;
    check_flags(&m, &["wr", "ac"], &[])?;
    check_charged(before, BIG)?;
    drop(m);
    check_charged(before, 0)?;

    let pool = HugePool::new(8)?;
    let file = pool.file(8 * HUGE)?;
    let before = committed()?;
    let m = MapOptions::new(8 * HUGE).private().map(&file)?;
    check_flags(&m, &["ht", "wr"], &["ac"])?;
    check_charged(before, 0)?;
    check_eq!(
        HugePool::count("Rsvd")?,
        8,
        "huge pages that are reserved instead"
    );
    Ok(())
}

fn strict_commit_keeps_victim(cx: &Context) -> Result {
    const HUGE_RANGE: usize = 64 << 30;
    let area = Area::new(Kind::Device, 16)?;
    let mut w = cx.window(HUGE_RANGE / P)?;
    area.map_at(&mut w, 0, area.part(0, 8))?;
    area.map_at(&mut w, 8, area.part(8, 8).private())?;
    w.touch_write(1, 1)?;
    w.touch_write(9, 9)?;
    let (count, vmas) = (area.count()?, vma_pages(&w)?);

    let strict = Sysctl::set("vm/overcommit_memory", 2)?;
    let before = committed()?;
    let options = MapOptions::new(HUGE_RANGE).offset(area.base()).private();
    let result = w.map_over(0, &options, Some(&area));
    let after = committed()?;
    drop(strict);
    // The hook itself would return ENXIO.
    check_err!(result, Errno::NOMEM);
    check!(
        (before - after).abs() < SLACK,
        "Committed_AS was {before} kB and is {after} kB"
    );
    check_eq!(count.get("mmap")?, Some(0), "calls of the hook");
    check_eq!(vma_pages(&w)?, vmas, "VMAs, those of the victims");
    check_eq!((w.touch_read(1)?, w.touch_read(9)?), (1, 9));
    check_eq!((area.read(P, 1)?, area.read(9 * P, 1)?), (vec![1], vec![0]));
    Ok(())
}

fn shared_anonymous_is_charged_by_shmem(_: &Context) -> Result {
    let before = committed()?;
    let m = shared_anonymous(BIG).map_anonymous()?;
    check_charged(before, BIG)?;
    check_flags(&m, &["sh", "ms"], &["ac"])?;
    check_eq!(vmas(&m)?[0].name.as_deref(), Some("/dev/zero (deleted)"));
    drop(m);
    check_charged(before, 0)
}

fn shared_anonymous_needs_a_file(_: &Context) -> Result {
    let area = Area::new(Kind::Device, 16)?;
    let mut files = Vec::new();
    for _ in 0..900 {
        // The kernel's count of files is approximate, so exceed the limit by far.
        files.push(File::open("/dev/null")?);
    }
    let sysctl = Sysctl::set("fs/file-max", 8)?;
    // A process with the capability has no limit. Root may write to the file in any case.
    drop_capabilities(CapabilitySet::SYS_ADMIN)?;
    let file = File::open("/dev/null");
    let none = shared_anonymous(P).map_anonymous();
    let private = MapOptions::new(P).private().map_anonymous();
    let device = area.map();
    drop(sysctl);
    check!(file.is_err(), "a file can be opened at fs.file-max");
    check_err!(none, Errno::NFILE);
    check_eq!(private?.touch_read(0)?, 0);
    let device = device?;
    device.touch_write(15, 1)?;
    check_eq!(vma_pages(&device)?, [(0, 16)]);
    check_eq!(shared_anonymous(P).map_anonymous()?.touch_read(0)?, 0);
    Ok(())
}

fn shared_anonymous_beyond_memory(_: &Context) -> Result {
    const TOO_MUCH: usize = 1 << 40;
    let _heuristic = Sysctl::set("vm/overcommit_memory", 0)?;
    let before = committed()?;
    check_err!(shared_anonymous(TOO_MUCH).map_anonymous(), Errno::NOMEM);
    check_charged(before, 0)?;
    let options = shared_anonymous(TOO_MUCH).flags(MapFlags::NORESERVE);
    let m = options.map_anonymous()?;
    check_flags(&m, &["sh", "nr"], &["ac"])?;
    check_charged(before, 0)?;
    m.touch_write(m.pages() - 1, 1)?;
    check_eq!(crate::view::resident_in(&m, m.pages() - 4, 4)?, 1);
    Ok(())
}
