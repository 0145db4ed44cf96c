// SPDX-License-Identifier: GPL-2.0

//! Ioctls with bad input: one bad field at a time in otherwise valid data.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::{cases, check_eq, check_err};
use rmmap_sys::device::BadPointer;
use rmmap_sys::rustix::io::{fcntl_getfd, FdFlags};
use rmmap_sys::rustix::mm::MprotectFlags;
use rmmap_sys::rustix::process::{setrlimit, Resource, Rlimit};
use rmmap_sys::uapi::{
    RmmapCreate, RMMAP_CREATE_ALL, RMMAP_CREATE_CLOEXEC, RMMAP_IOC_ADD_SEALS, RMMAP_IOC_ALLOCATE,
    RMMAP_IOC_CREATE, RMMAP_IOC_CREATE_NAMED, RMMAP_IOC_DISCARD, RMMAP_IOC_GET_SEALS,
    RMMAP_IOC_INFO, RMMAP_IOC_POLICY, RMMAP_IOC_STATS,
};
use rmmap_sys::{Device, Errno, MapOptions};
use std::os::fd::{AsFd, AsRawFd};
use zerocopy::IntoBytes;

cases! {
    Rmmap unknown_ioctl_is_enotty ["DM-33"] "numbers that rmmap does not know: other types, directions, sizes and numbers";
    Rmmap bad_pointer_is_efault [] "arguments at addresses that are not accessible, wholly or in part";
    Rmmap create_refuses_bad_input [] "CREATE: unknown flags and padding EINVAL, too large ENOMEM, and no descriptor is left";
    Rmmap create_takes_sizes_and_flags [] "CREATE: size 0, odd sizes and the limit itself; CLOEXEC is set or not";
    Rmmap create_without_descriptors [] "CREATE with no descriptor left: EMFILE, and no region is left";
    Rmmap discard_refuses_bad_ranges [] "DISCARD: unaligned, empty, overflowing or beyond the end EINVAL, nothing is lost";
}

/// The ioctl numbers that rmmap implements.
const KNOWN: [u32; 9] = [
    RMMAP_IOC_ADD_SEALS,
    RMMAP_IOC_CREATE_NAMED,
    RMMAP_IOC_GET_SEALS,
    RMMAP_IOC_ALLOCATE,
    RMMAP_IOC_INFO,
    RMMAP_IOC_CREATE,
    RMMAP_IOC_DISCARD,
    RMMAP_IOC_STATS,
    RMMAP_IOC_POLICY,
];

/// Returns the device and a region.
fn both() -> Result<[Area; 2]> {
    Ok([Area::new(Kind::Device, 4)?, Area::new(Kind::Region, 4)?])
}

fn unknown_ioctl_is_enotty(_: &Context) -> Result {
    const TCGETS: u32 = 0x5401;
    const FS_IOC_GETFLAGS: u32 = 0x8008_6601;
    const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
    const BLKGETSIZE64: u32 = 0x8008_1272;
    for area in both()? {
        let device = area.fd();
        let mut numbers = vec![
            0,
            u32::MAX,
            TCGETS,
            FS_IOC_GETFLAGS,
            FS_IOC_SETFLAGS,
            BLKGETSIZE64,
        ];
        for known in KNOWN {
            // A wrong number, size, type and direction.
            numbers.extend([
                known ^ 0x80,
                known + (4 << 16),
                known ^ (1 << 8),
                known ^ (3 << 30),
            ]);
        }
        for number in numbers {
            let mut data = [0; 256];
            check_err!(
                device.raw_ioctl(number, &mut data),
                Errno::NOTTY,
                "ioctl {number:#010x}"
            );
        }
    }
    Ok(())
}

fn bad_pointer_is_efault(cx: &Context) -> Result {
    let pointers = [
        BadPointer::Null,
        BadPointer::Kernel,
        BadPointer::NonCanonical,
        BadPointer::Last,
    ];
    let memory = MapOptions::new(2 * P).private().map_anonymous()?;
    memory.touch_write(0, 0)?;
    memory.protect(P, P, MprotectFlags::empty())?;
    let regions = cx.device()?.info()?.regions;
    for area in both()? {
        let device = area.fd();
        for number in KNOWN {
            // The device has no seals, so the pointer does not matter.
            if number == RMMAP_IOC_GET_SEALS && area.kind() == Kind::Device {
                continue;
            }
            for pointer in pointers {
                let call = device.raw_ioctl_bad_pointer(number, pointer);
                check_err!(call, Errno::FAULT, "ioctl {number:#010x} at {pointer:?}");
            }
            // The whole argument, its second half, and all but one byte lie outside of the mapping.
            let size = (number as usize >> 16) & 0x3fff;
            for offset in [P, P - size / 2, P - 1] {
                let call = device.raw_ioctl_at(number, &memory, offset);
                check_err!(
                    call,
                    Errno::FAULT,
                    "ioctl {number:#010x} at {offset} of {P} bytes"
                );
            }
        }
    }
    // The kernel copies the answer to read-only memory.
    memory.protect(0, P, MprotectFlags::READ)?;
    for number in [RMMAP_IOC_INFO, RMMAP_IOC_STATS] {
        check_err!(cx.device()?.raw_ioctl_at(number, &memory, 0), Errno::FAULT);
    }
    check_eq!(
        cx.device()?.info()?.regions,
        regions,
        "regions after calls that failed"
    );
    Ok(())
}

fn create_refuses_bad_input(cx: &Context) -> Result {
    let device = cx.device()?;
    let before = device.info()?;
    let create = |size: u64, flags: u32, pad: u32| {
        let mut argument = RmmapCreate { size, flags, pad };
        device.raw_ioctl(RMMAP_IOC_CREATE, argument.as_mut_bytes())
    };
    let size = 4 * P as u64;
    for bit in 0..32 {
        let flag = 1 << bit;
        if RMMAP_CREATE_ALL & flag == 0 {
            check_err!(
                create(size, flag, 0),
                Errno::INVAL,
                "CREATE with flag {flag:#x}"
            );
            check_err!(
                create(size, RMMAP_CREATE_ALL | flag, 0),
                Errno::INVAL,
                "with {flag:#x} too"
            );
        }
        check_err!(
            create(size, 0, 1 << bit),
            Errno::INVAL,
            "CREATE with padding {flag:#x}"
        );
    }
    for size in [
        before.max_bytes + 1,
        1 << 62,
        i64::MAX as u64,
        1 << 63,
        u64::MAX,
    ] {
        check_err!(
            create(size, 0, 0),
            Errno::NOMEM,
            "CREATE of {size:#x} bytes"
        );
    }
    // EINVAL for bad input takes precedence over ENOMEM for a size above the limit.
    check_err!(create(u64::MAX, 0, 1), Errno::INVAL);
    let next = rmmap_sys::rustix::io::dup(&device)?;
    check_eq!(
        device.info()?.regions,
        before.regions,
        "regions after calls that failed"
    );
    let first = rmmap_sys::rustix::io::dup(&next)?.as_raw_fd();
    check_eq!(first, next.as_raw_fd() + 1, "the next free descriptor");
    Ok(())
}

fn create_takes_sizes_and_flags(cx: &Context) -> Result {
    let device = cx.device()?;
    let max = device.info()?.max_bytes;
    for size in [0, 1, P as u64 - 1, P as u64, 12345, max - 1, max] {
        let region = device.create(size, 0)?;
        let stat = rmmap_sys::rustix::fs::fstat(&region)?;
        check_eq!(
            (stat.st_size as u64, stat.st_blocks),
            (size, 0),
            "size of a region of {size}"
        );
        check_eq!(region.info()?.size, size);
    }
    let flags = |fd: &Device| fcntl_getfd(fd);
    check_eq!(flags(&device.create(1, 0)?)?, FdFlags::empty());
    check_eq!(
        flags(&device.create(1, RMMAP_CREATE_CLOEXEC)?)?,
        FdFlags::CLOEXEC
    );
    // A region creates another region.
    let child = device.create(1, 0)?.create(P as u64, 0)?;
    let m = MapOptions::new(P).map(&child)?;
    m.touch_write(0, 1)?;
    check_eq!(child.info()?.resident, P as u64);
    Ok(())
}

fn discard_refuses_bad_ranges(_: &Context) -> Result {
    for area in both()? {
        let page = P as u64;
        let size = area.fd().info()?.size;
        let m = area.map()?;
        for n in 0..4 {
            m.touch_write(n, 9)?;
        }
        let base = area.base();
        let bad = [
            (base + 1, page, "an odd offset"),
            (base + 512, page, "an offset within a page"),
            (base, 1, "an odd length"),
            (base, page + 1, "a length of a page and a byte"),
            (base, 0, "no length"),
            (size, 0, "no length at the end"),
            (base, size - base + page, "an end past the object's"),
            (size, page, "a start at the end"),
            (size + page, page, "a start past the end"),
            (page, u64::MAX - page + 1, "a sum of 2^64"),
            (u64::MAX - page + 1, page, "the last page of 2^64"),
            (2 * page, u64::MAX - page + 1, "a sum beyond 2^64"),
        ];
        for (offset, len, what) in bad {
            check_err!(
                area.fd().discard(offset, len),
                Errno::INVAL,
                "discard with {what}"
            );
        }
        check_eq!(area.held_pages()?, 4);
        for n in 0..4 {
            check_eq!(m.touch_read(n)?, 9, "page {n} after discards that failed");
        }
        area.fd().discard(size - page, page)?;
        area.discard(0, 1)?;
        check_eq!((m.touch_read(0)?, m.touch_read(1)?), (0, 9));
    }
    Ok(())
}

fn create_without_descriptors(cx: &Context) -> Result {
    let device = cx.device()?;
    let before = device.info()?;
    let limit = Some(device.as_fd().as_raw_fd() as u64 + 1);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit,
            maximum: limit,
        },
    )?;
    for _ in 0..10 {
        check_err!(device.create(P as u64, 0), Errno::MFILE);
    }
    let after = device.info()?;
    check_eq!(
        (after.regions, after.used_bytes),
        (before.regions, before.used_bytes)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_of_the_abi_are_known() {
        let abi = include_str!("../../../../../rust/uapi/rmmap.rs");
        let numbers = abi
            .lines()
            .filter(|line| line.starts_with("pub const RMMAP_IOC_") && line.contains("ioc::<"));
        assert_eq!(numbers.count(), KNOWN.len());
    }
}
