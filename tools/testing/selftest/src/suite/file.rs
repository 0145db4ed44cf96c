// SPDX-License-Identifier: GPL-2.0

//! A region as a regular file (fstat, ftruncate, fdinfo, lifetime), and the type of the device
//! node.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::counting::stats;
use crate::outcome::{lacks, Result, Stop};
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::fs::{
    fallocate, fchmod, fstat, ftruncate, stat, FallocateFlags, FileType, Mode, OFlags,
};
use rmmap_sys::rustix::mm::Advice;
use rmmap_sys::{Device, Errno, MapOptions};
use std::collections::HashMap;
use std::fs::read_to_string;
use std::os::fd::{AsFd, AsRawFd};

cases! {
    Rmmap node_is_private_char_device [] "/dev/rmmap is a character device of mode 0600 that belongs to root";
    File region_is_regular_file [] "fstat: a regular file, its size, and blocks that follow the pages it holds";
    File region_is_resized [] "ftruncate both ways changes the size and frees memory";
    File unsupported_fallocate [] "fallocate modes that make no sense for a region are EOPNOTSUPP, and change nothing";
    Rmmap device_is_not_a_file [] "ftruncate, fallocate and MADV_REMOVE do not work on the device node";
    File mapping_keeps_object_alive ["KS-10"] "a mapping works after its descriptor was closed, and alone keeps the memory";
    Rmmap mapping_keeps_region_alive ["KS-10"] "INFO counts the region until it is unmapped, then it is freed";
    Rmmap fdinfo_tells_counters [] "/proc/self/fdinfo has rmmap's lines, which match INFO and STATS";
    Rmmap statistics_are_announced [] "debugfs says that statistics are compiled in if STATS gives them, and out if not";
    Rmmap direct_open_is_refused [] "O_DIRECT is EINVAL: the page cache has no backing store";
}

fn node_is_private_char_device(cx: &Context) -> Result {
    let path = rmmap_sys::uapi::RMMAP_DEVICE;
    let node = stat(path)?;
    check_eq!(
        FileType::from_raw_mode(node.st_mode),
        FileType::CharacterDevice
    );
    check_eq!(Mode::from_raw_mode(node.st_mode), Mode::RUSR | Mode::WUSR);
    check_eq!((node.st_uid, node.st_gid), (0, 0));
    check_eq!(
        rmmap_sys::rustix::fs::major(node.st_rdev),
        10,
        "the major number of misc devices"
    );
    check_eq!(fstat(cx.device()?)?.st_rdev, node.st_rdev);
    Ok(())
}

fn region_is_regular_file(cx: &Context) -> Result {
    let area = cx.single_pages(8)?;
    let stat = fstat(&area)?;
    check_eq!(FileType::from_raw_mode(stat.st_mode), FileType::RegularFile);
    check_eq!((stat.st_size, stat.st_blocks), (8 * P as i64, 0));
    let m = area.map()?;
    m.touch_write(1, 1)?;
    m.touch_write(6, 1)?;
    check_eq!(fstat(&area)?.st_blocks, 2 * P as i64 / 512);
    area.discard(6, 1)?;
    check_eq!(fstat(&area)?.st_blocks, P as i64 / 512);
    fchmod(&area, Mode::RUSR)?;
    check_eq!(Mode::from_raw_mode(fstat(&area)?.st_mode), Mode::RUSR);
    let other = cx.other_area(1)?;
    check!(
        fstat(&other)?.st_ino != stat.st_ino,
        "two regions have one inode number"
    );
    Ok(())
}

fn region_is_resized(cx: &Context) -> Result {
    let area = cx.area(8)?;
    area.write(0, &[1; 8 * P])?;
    for (size, held) in [
        (3 * P + 5, 4),
        (3 * P, 3),
        (100 * P, 3),
        (1, 1),
        (0, 0),
        (P, 0),
    ] {
        ftruncate(&area, size as u64)?;
        let stat = fstat(&area)?;
        check_eq!(
            (stat.st_size as usize, area.held_pages()?),
            (size, held),
            "after truncation to {size}"
        );
        check_eq!(stat.st_blocks as usize * 512, held * P);
    }
    check_err!(ftruncate(&area, u64::MAX), Errno::INVAL);
    check_err!(ftruncate(area.reopen(OFlags::RDONLY)?, 0), Errno::INVAL);
    Ok(())
}

fn unsupported_fallocate(cx: &Context) -> Result {
    let area = cx.area(8)?;
    area.write(0, &[1; 8 * P])?;
    let page = P as u64;
    let collapse = FallocateFlags::COLLAPSE_RANGE;
    for mode in [
        collapse,
        FallocateFlags::INSERT_RANGE,
        FallocateFlags::ZERO_RANGE,
        FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
        FallocateFlags::UNSHARE_RANGE,
        FallocateFlags::PUNCH_HOLE,
    ] {
        check_err!(
            fallocate(&area, mode, page, page),
            Errno::OPNOTSUPP,
            "fallocate with {mode:?}"
        );
    }
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    check_err!(fallocate(&area, punch, page, 0), Errno::INVAL);
    check_err!(
        fallocate(area.reopen(OFlags::RDONLY)?, punch, 0, page),
        Errno::BADF
    );
    check_eq!(
        (area.held_pages()?, fstat(&area)?.st_size as usize),
        (8, 8 * P)
    );
    check!(
        area.read(0, 8 * P)?.iter().all(|b| *b == 1),
        "bytes changed"
    );
    Ok(())
}

fn device_is_not_a_file(_: &Context) -> Result {
    let area = Area::of_single_pages(Kind::Device, 4)?;
    let m = area.map()?;
    m.touch_write(0, 1)?;
    check_err!(ftruncate(&area, 0), Errno::INVAL);
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    check_err!(fallocate(&area, punch, area.base(), P as u64), Errno::NODEV);
    check_err!(m.advise(0, P, Advice::LinuxRemove), Errno::NODEV);
    check_eq!((m.touch_read(0)?, area.held_pages()?), (1, 1));
    Ok(())
}

fn mapping_keeps_object_alive(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let (m, second) = (area.map()?, area.map()?);
    m.touch_write(1, 9)?;
    drop(area);
    m.touch_write(2, 8)?;
    drop(m);
    check_eq!(
        (
            second.touch_read(1)?,
            second.touch_read(2)?,
            second.touch_read(3)?
        ),
        (9, 8, 0)
    );
    Ok(())
}

fn mapping_keeps_region_alive(cx: &Context) -> Result {
    let device = cx.device()?;
    let before = device.info()?;
    let region = cx.region_of_pages(4)?;
    let mut m = MapOptions::new(4 * P).map(&region)?;
    m.touch_write(0, 1)?;
    drop(region);
    m.touch_write(3, 1)?;
    let now = device.info()?;
    check_eq!(
        (
            now.regions - before.regions,
            now.used_bytes - before.used_bytes
        ),
        (1, 2 * P as u64)
    );
    m.unmap(0, 3 * P)?;
    check_eq!(
        device.info()?.used_bytes - before.used_bytes,
        2 * P as u64,
        "with a part mapped"
    );
    drop(m);
    let end = device.info()?;
    check_eq!(
        (end.regions, end.used_bytes),
        (before.regions, before.used_bytes)
    );
    Ok(())
}

/// Returns rmmap's lines of `/proc/self/fdinfo`, without the prefix `rmmap-`.
fn fdinfo(device: &Device) -> Result<HashMap<String, Vec<u64>>> {
    let fd = device.as_fd().as_raw_fd();
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
    let mut fields = HashMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("rmmap-")) {
        let bad = || Stop::fail(format_args!("fdinfo has the line {line:?}"));
        let (name, values) = line.split_once(':').ok_or_else(bad)?;
        let values = values
            .split_whitespace()
            .map(str::parse)
            .collect::<std::result::Result<Vec<u64>, _>>();
        check_eq!(
            fields.insert(name.to_owned(), values.map_err(|_| bad())?),
            None,
            "{name} twice"
        );
    }
    Ok(fields)
}

fn statistics_are_announced(cx: &Context) -> Result {
    let file = "/sys/kernel/debug/rmmap/statistics";
    let missing = [Errno::NOENT];
    let said = read_to_string(file).map_err(|e| lacks("show debugfs", e, &missing))?;
    let want = match cx.device()?.stats() {
        Ok(_) => "compiled in\n",
        Err(Errno::OPNOTSUPP) => "compiled out\n",
        Err(e) => return Err(e.into()),
    };
    check_eq!(said, want);
    Ok(())
}

fn fdinfo_tells_counters(_: &Context) -> Result {
    for kind in [Kind::Region, Kind::Device] {
        let area = Area::of_single_pages(kind, 8)?;
        let (m, private) = (area.map()?, area.whole().private().map(&area)?);
        m.touch_write(1, 1)?;
        m.touch_read(2)?;
        private.touch_write(4, 1)?;
        let (info, stats) = (area.fd().info()?, stats(area.fd())?.region);
        let fields = fdinfo(area.fd())?;
        let want = [
            ("size", vec![info.size]),
            ("resident", vec![2 * P as u64]),
            ("mmap", vec![stats.mmap]),
            ("fault-read", vec![stats.fault_read]),
            ("fault-write", vec![stats.fault_write]),
            ("fault-cow", vec![stats.fault_cow]),
            ("fault-populate", vec![stats.fault_populate]),
            ("folios", stats.folios.to_vec()),
        ];
        for (name, value) in want {
            check_eq!(fields.get(name), Some(&value), "rmmap-{name} of {kind:?}");
        }
        if kind == Kind::Region {
            check_eq!(
                (
                    stats.mmap,
                    stats.fault_write,
                    stats.fault_read,
                    stats.fault_cow
                ),
                (2, 1, 1, 1)
            );
        }
    }
    Ok(())
}

fn direct_open_is_refused(_: &Context) -> Result {
    check_err!(
        Device::open_with(OFlags::RDWR | OFlags::DIRECT),
        Errno::INVAL
    );
    let area = Area::new(Kind::Region, 1)?;
    check_err!(area.reopen(OFlags::RDWR | OFlags::DIRECT), Errno::INVAL);
    Ok(())
}
