// SPDX-License-Identifier: GPL-2.0

//! do_mmap(): checks of the file offset, the access mode, the append flag and seals.

use crate::context::{Context, P};
use crate::mounts::Mounts;
use crate::outcome::{Result, Stop};
use crate::view::{check_flags, resident, smap};
use crate::{cases, check_eq, check_err, check_sigbus};
use rmmap_sys::rustix::fs::{
    fcntl_add_seals, ftruncate, ioctl_getflags, ioctl_setflags, memfd_create, open, IFlags,
    MemfdFlags, Mode, OFlags, SealFlags,
};
use rmmap_sys::rustix::mm::{MapFlags, MprotectFlags};
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::{Device, Errno, MapOptions};
use std::os::fd::AsFd;

cases! {
    Rmmap regular_files_end_at_2_63 ["DM-24"] "memfd and region: the last page below 2^63 is EOVERFLOW, the one before mapped and SIGBUS";
    Each reader_gets_no_writable_mapping ["DM-35"] "O_RDONLY, MAP_SHARED: `r--s` and `ms`, but neither `sh` nor `mw`; mprotect(W) is EACCES";
    Rmmap append_only_file_is_not_mapped_shared ["DM-33"] "a file with FS_APPEND_FL: EACCES for every shared mapping of a writable descriptor; others map it";
    Rmmap device_has_no_append_flag ["DM-33"] "FS_IOC_SETFLAGS and GETFLAGS on device and region: ENOTTY";
    Rmmap sealed_memory_is_not_mapped_writable ["DM-42"] "memfd with F_SEAL_WRITE or F_SEAL_FUTURE_WRITE: EPERM; read-only without `mw`; private writable";
}

/// Protection for reading and writing.
const RW: MprotectFlags = MprotectFlags::READ.union(MprotectFlags::WRITE);

/// Creates a file with one page of memory.
fn memory(flags: MemfdFlags) -> Result<Device> {
    let fd = memfd_create("rmmap-selftest", flags | MemfdFlags::CLOEXEC)?;
    ftruncate(&fd, P as u64)?;
    Ok(fd.into())
}

fn regular_files_end_at_2_63(cx: &Context) -> Result {
    let at = |offset: u64, pages: usize| MapOptions::new(pages * P).offset(offset);
    for file in [memory(MemfdFlags::empty())?, cx.region(1)?] {
        let end = 1 << 63;
        let page = P as u64;
        // The last byte of a file is at 2^63-2, so its last page is not whole.
        for (offset, pages) in [
            (end - page, 1),
            (end - 2 * page, 2),
            (end, 1),
            (end - page, 9),
        ] {
            let beyond = at(offset, pages);
            check_err!(
                beyond.map(&file),
                Errno::OVERFLOW,
                "{pages} pages at {offset:#x}"
            );
            check_err!(beyond.private().map(&file), Errno::OVERFLOW);
        }
        for (offset, pages) in [(end - 2 * page, 1), (end - 3 * page, 2)] {
            let m = at(offset, pages).map(&file)?;
            check_eq!(smap(&m)?.map.offset, offset);
            check_sigbus!(m.touch_read(0), m.address());
            check_eq!(resident(&m)?, 0);
        }
    }
    Ok(())
}

fn reader_gets_no_writable_mapping(cx: &Context) -> Result {
    let area = cx.area(2)?;
    area.write(0, &[3])?;
    let reader = area.reopen(OFlags::RDONLY)?;
    for kind in [MapFlags::SHARED, MapFlags::SHARED_VALIDATE] {
        let m = area.whole().only_flags(kind).read_only().map(&reader)?;
        check_eq!(smap(&m)?.map.perms, "r--s", "{kind:?}");
        check_flags(&m, &["rd", "mr", "ms"], &["sh", "mw", "wr"])?;
        check_err!(m.protect(0, P, RW), Errno::ACCESS);
        check_err!(m.protect(0, P, MprotectFlags::WRITE), Errno::ACCESS);
        check_flags(&m, &["rd", "ms"], &["sh", "mw", "wr"])?;
        check_eq!(m.touch_read(0)?, 3);
        // It sees the stores of others, so it is shared nevertheless.
        area.write(0, &[4])?;
        check_eq!(m.touch_read(0)?, 4);
        area.write(0, &[3])?;
    }
    Ok(())
}

fn append_only_file_is_not_mapped_shared(cx: &Context) -> Result {
    cx.needs(CapabilitySet::LINUX_IMMUTABLE, "CAP_LINUX_IMMUTABLE")?;
    let mounts = Mounts::new()?;
    let path = mounts.folder().join("appended");
    let file = open(
        &path,
        OFlags::RDWR | OFlags::CREATE,
        Mode::RUSR | Mode::WUSR,
    )?;
    ftruncate(&file, P as u64)?;
    let page = MapOptions::new(P);
    page.map(&file)?;
    let flags = ioctl_getflags(&file);
    match flags.and_then(|flags| ioctl_setflags(&file, flags | IFlags::APPEND)) {
        Err(Errno::NOTTY | Errno::OPNOTSUPP) => {
            return Err(Stop::skip(
                "this kernel's tmpfs has no append flag (TMPFS_XATTR)",
            ));
        }
        done => done?,
    }
    let appender = open(&path, OFlags::RDWR | OFlags::APPEND, Mode::empty())?;
    check_err!(open(&path, OFlags::RDWR, Mode::empty()), Errno::PERM);
    for writer in [&file, &appender] {
        check_err!(page.map(writer), Errno::ACCESS, "shared and writable");
        check_err!(
            page.read_only().map(writer),
            Errno::ACCESS,
            "shared and read-only"
        );
        let validate = page.read_only().only_flags(MapFlags::SHARED_VALIDATE);
        check_err!(validate.map(writer), Errno::ACCESS, "validated");
        let private = page.private().map(writer)?;
        check_eq!(smap(&private)?.map.perms, "rw-p");
        private.touch_write(0, 1)?;
    }
    let reader = open(&path, OFlags::RDONLY, Mode::empty())?;
    let m = page.read_only().map(&reader)?;
    check_eq!(
        (smap(&m)?.map.perms, m.touch_read(0)?),
        ("r--s".to_owned(), 0)
    );
    // The kernel checks the flag at each mmap(2).
    ioctl_setflags(&file, ioctl_getflags(&file)? & !IFlags::APPEND)?;
    check_flags(&page.map(&file)?, &["sh", "ms", "wr"], &[])
}

fn device_has_no_append_flag(cx: &Context) -> Result {
    for fd in [cx.device()?, cx.region(1)?] {
        check_err!(ioctl_getflags(&fd), Errno::NOTTY);
        check_err!(ioctl_setflags(&fd, IFlags::APPEND), Errno::NOTTY);
        check_flags(&MapOptions::new(P).map(&fd)?, &["sh", "ms", "wr"], &[])?;
    }
    Ok(())
}

fn sealed_memory_is_not_mapped_writable(_: &Context) -> Result {
    for seal in [SealFlags::WRITE, SealFlags::FUTURE_WRITE] {
        let memory = memory(MemfdFlags::ALLOW_SEALING)?;
        let page = MapOptions::new(P);
        page.map(&memory)?.touch_write(0, 9)?;
        fcntl_add_seals(memory.as_fd(), seal)?;
        check_err!(page.map(&memory), Errno::PERM, "{seal:?}");
        let m = page.read_only().map(&memory)?;
        check_eq!(
            (smap(&m)?.map.perms, m.touch_read(0)?),
            ("r--s".to_owned(), 9)
        );
        check_flags(&m, &["sh", "ms"], &["mw"])?;
        check_err!(m.protect(0, P, RW), Errno::ACCESS, "{seal:?}");
        let private = page.private().map(&memory)?;
        check_flags(&private, &["wr", "mw"], &["sh", "ms"])?;
        private.touch_write(0, 1)?;
        check_eq!(m.touch_read(0)?, 9, "the sealed byte after a private store");
    }
    Ok(())
}
