// SPDX-License-Identifier: GPL-2.0

//! The system calls that call `ksys_mmap_pgoff()`: mmap of x86-64, and the two of i386.

use crate::area::Area;
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::view::resident;
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::mm::{MapFlags, ProtFlags};
use rmmap_sys::uapi::RMMAP_CREATE_NOEXEC;
use rmmap_sys::{compat, procmap, Errno, MapOptions, Mapping};
use std::os::fd::{AsFd, AsRawFd};

cases! {
    Rmmap mmap2_offset_is_in_pages ["SC-01"] "i386's mmap2, the only way into mmap_pgoff: all six arguments arrive, the offset counts pages";
    Rmmap mmap_offset_is_in_bytes ["SC-02"] "mmap of x86-64: an offset within a page is EINVAL, before the descriptor is checked";
    Rmmap old_mmap_takes_a_pointer ["SC-03"] "i386's old mmap: offset in bytes, EINVAL within a page, EFAULT without arguments";
}

/// A descriptor that is not open.
const CLOSED: i32 = 999;

/// Returns four pages, each of which begins with its number plus one, and the number of their
/// descriptor.
fn numbered(cx: &Context) -> Result<(Area, i32)> {
    let area = cx.area(4)?;
    for page in 0..4 {
        area.write(page * P, &[page as u8 + 1])?;
    }
    let fd = area.as_fd().as_raw_fd();
    Ok((area, fd))
}

fn needs_compat() -> Result {
    match compat::is_available()? {
        true => Ok(()),
        false => Err(Stop::skip(
            "this kernel has no 32-bit system calls (IA32_EMULATION)",
        )),
    }
}

/// Checks that a mapping is of this page of the object, shared, readable and writable.
fn is_page(m: &Mapping, page: usize) -> Result {
    let vma = procmap::query(m.address())?;
    check_eq!(vma.range, m.address()..m.address() + m.len());
    check_eq!((vma.offset, vma.flags), ((page * P) as u64, 1 | 2 | 8));
    check_eq!(resident(m)?, 0);
    check_eq!(m.touch_read(0)? as usize, page + 1);
    Ok(())
}

fn mmap2_offset_is_in_pages(cx: &Context) -> Result {
    needs_compat()?;
    let (area, fd) = numbered(cx)?;
    let options = MapOptions::new(P).offset(P as u64);
    let m = compat::mmap2(&options, fd)?;
    check!(
        m.address() + m.len() <= 1 << 32,
        "a 32-bit program cannot use {:#x}",
        m.address()
    );
    is_page(&m, 1)?;
    m.touch_write(0, 0x77)?;
    check_eq!(area.read(P, 1)?, [0x77]);

    // Address, length, protection and flags all show in the result.
    let free = m.address();
    drop(m);
    let more = MapOptions::new(2 * P).hint(free - P).read_only().private();
    let m = compat::mmap2(&more.flags(MapFlags::POPULATE).offset(2 * P as u64), fd)?;
    let vma = procmap::query(m.address())?;
    check_eq!(vma.range, free - P..free + P);
    check_eq!((vma.flags, vma.offset), (1, 2 * P as u64));
    check_eq!((resident(&m)?, m.touch_read(1)?), (2, 4));

    // 2^32 - 1 pages: neither truncated nor sign-extended.
    let last = MapOptions::new(P).offset(u64::from(u32::MAX) * P as u64);
    let m = compat::mmap2(&last, fd)?;
    check_eq!(procmap::query(m.address())?.offset, 0x0fff_ffff_f000);
    check_err!(
        compat::mmap2(&last, cx.device()?.as_fd().as_raw_fd()),
        Errno::NXIO
    );
    check_err!(compat::mmap2(&options, CLOSED), Errno::BADF);
    check_err!(compat::mmap2(&options, -1), Errno::BADF);
    check_err!(compat::mmap2(&MapOptions::new(0), fd), Errno::INVAL);
    let exec = options.prot(ProtFlags::READ | ProtFlags::EXEC);
    let noexec = cx.device()?.create(2 * P as u64, RMMAP_CREATE_NOEXEC)?;
    check_err!(
        compat::mmap2(&exec, noexec.as_fd().as_raw_fd()),
        Errno::PERM
    );
    Ok(())
}

fn mmap_offset_is_in_bytes(cx: &Context) -> Result {
    let (area, fd) = numbered(cx)?;
    let count = area.count()?;
    let at = |offset| MapOptions::new(P).offset(offset);
    for offset in [1, P as u64 - 1, P as u64 + 1, u64::MAX] {
        check_err!(at(offset).map_number(fd), Errno::INVAL, "offset {offset}");
        check_err!(
            at(offset).map_number(CLOSED),
            Errno::INVAL,
            "offset {offset}, bad fd"
        );
    }
    check_err!(at(P as u64).map_number(CLOSED), Errno::BADF);
    check_eq!(count.get("mmap")?, Some(0));
    for page in 0..4 {
        is_page(&at((page * P) as u64).map_number(fd)?, page)?;
    }
    Ok(())
}

fn old_mmap_takes_a_pointer(cx: &Context) -> Result {
    needs_compat()?;
    let (area, fd) = numbered(cx)?;
    let at = |offset| MapOptions::new(P).offset(offset);
    for page in 0..4 {
        let m = compat::old_mmap(&at((page * P) as u64), fd)?;
        check!(m.address() + m.len() <= 1 << 32);
        is_page(&m, page)?;
    }
    let count = area.count()?;
    for offset in [1, P as u64 + 1] {
        check_err!(compat::old_mmap(&at(offset), fd), Errno::INVAL);
        check_err!(compat::old_mmap(&at(offset), CLOSED), Errno::INVAL);
    }
    check_err!(compat::old_mmap(&at(0), CLOSED), Errno::BADF);
    check_err!(compat::old_mmap_bad_pointer(), Errno::FAULT);
    check_eq!(count.get("mmap")?, Some(0));
    Ok(())
}
