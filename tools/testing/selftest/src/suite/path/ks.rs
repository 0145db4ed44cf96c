// SPDX-License-Identifier: GPL-2.0

//! `ksys_mmap_pgoff()` and the descriptor.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::view::{resident, vmas};
use crate::{cases, check_eq, check_err};
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::{procmap, Errno, MapOptions};
use std::os::fd::{AsFd, AsRawFd};

cases! {
    Rmmap anonymous_ignores_descriptor ["KS-01"] "with MAP_ANONYMOUS the descriptor is ignored, that of the device, too";
    Rmmap bad_descriptor_is_refused_first ["KS-02"] "EBADF for a closed descriptor and for O_PATH, before the length is checked";
    Rmmap huge_flag_needs_huge_file ["KS-05"] "MAP_HUGETLB with the device is EINVAL, and its hook is not called";
    Rmmap failed_mapping_keeps_no_reference ["KS-10"] "after a refused mapping, close alone releases the file; after a good one, the last munmap";
}

/// A descriptor that is not open.
const CLOSED: i32 = 999;

fn anonymous_ignores_descriptor(cx: &Context) -> Result {
    let anonymous = MapFlags::from_bits_retain(0x20);
    let area = cx.area(4)?;
    let count = area.count()?;
    for fd in [CLOSED, -1, i32::MIN, area.as_fd().as_raw_fd()] {
        for kind in [MapFlags::PRIVATE, MapFlags::SHARED] {
            let options = MapOptions::new(4 * P).only_flags(kind | anonymous);
            let m = options.map_number(fd)?;
            let vma = procmap::query(m.address())?;
            let name = (kind == MapFlags::SHARED).then_some("/dev/zero (deleted)");
            check_eq!(vma.name.as_deref(), name, "name with descriptor {fd}");
            m.touch_write(3, 1)?;
            check_eq!(resident(&m)?, 1);
        }
    }
    check_eq!((count.get("mmap")?, area.held_pages()?), (Some(0), 0));
    Ok(())
}

fn bad_descriptor_is_refused_first(_: &Context) -> Result {
    let area = Area::new(Kind::Device, 1)?;
    let path = area.reopen(OFlags::PATH)?;
    let before = vmas_of_process()?;
    for fd in [-1, CLOSED, i32::MAX, path.as_fd().as_raw_fd()] {
        // The length alone is EINVAL, and so are the flags.
        for len in [P, 0] {
            let options = MapOptions::new(len);
            check_err!(
                options.map_number(fd),
                Errno::BADF,
                "descriptor {fd}, {len} bytes"
            );
            let no_type = options.only_flags(MapFlags::empty());
            check_err!(
                no_type.map_number(fd),
                Errno::BADF,
                "descriptor {fd}, no type"
            );
        }
    }
    check_err!(MapOptions::new(0).map(&area), Errno::INVAL);
    check_eq!(vmas_of_process()?, before);
    Ok(())
}

/// Returns the number of VMAs of the device in this process.
fn vmas_of_process() -> Result<usize> {
    let maps = rmmap_procfs::Process::Myself.maps()?;
    let is_ours = |name: &str| name == rmmap_sys::uapi::RMMAP_DEVICE;
    Ok(maps
        .iter()
        .filter(|map| map.name.as_deref().is_some_and(is_ours))
        .count())
}

fn huge_flag_needs_huge_file(cx: &Context) -> Result {
    for kind in [Kind::Region, Kind::Device] {
        let area = Area::new(kind, 4)?;
        let count = area.count()?;
        let mut window = cx.window(4)?;
        for options in [area.whole(), area.whole().private()] {
            let huge = options.flags(MapFlags::HUGETLB);
            check_err!(huge.map(&area), Errno::INVAL);
            // With a supported size, and with an unsupported one.
            for log2 in [21, 22] {
                let sized = huge.flags(MapFlags::from_bits_retain(log2 << 26));
                check_err!(sized.map(&area), Errno::INVAL, "2^{log2} bytes");
            }
        }
        check_eq!(count.get("mmap")?, Some(0));
        // The same call succeeds without the flag.
        area.map_at(&mut window, 0, area.whole())?;
        check_eq!(vmas(&window)?.len(), 1);
    }
    Ok(())
}

/// Returns the number of open files of the module: each keeps it loaded.
fn open_files() -> Result<u64> {
    let count = std::fs::read_to_string("/sys/module/rmmap/refcnt")?;
    count.trim().parse().map_err(Stop::fail)
}

fn failed_mapping_keeps_no_reference(cx: &Context) -> Result {
    let before = open_files()?;
    let device = cx.device()?;
    let capacity = device.info()?.capacity;
    check_eq!(open_files()?, before + 1);
    for options in [MapOptions::new(2 * P), MapOptions::new(2 * P).private()] {
        check_err!(
            options.offset(capacity - P as u64).map(&device),
            Errno::NXIO
        );
    }
    check_eq!(open_files()?, before + 1);
    drop(device);
    check_eq!(open_files()?, before, "open files after close");

    // A successful call keeps the file until its last part is unmapped.
    let device = cx.device()?;
    let mut m = MapOptions::new(4 * P).map(&device)?;
    drop(device);
    m.touch_write(3, 1)?;
    check_eq!((open_files()?, resident(&m)? > 0), (before + 1, true));
    m.unmap(P, P)?;
    check_eq!(open_files()?, before + 1, "open files with parts mapped");
    drop(m);
    check_eq!(open_files()?, before, "open files after munmap");
    Ok(())
}
