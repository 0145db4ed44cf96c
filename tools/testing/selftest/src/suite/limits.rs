// SPDX-License-Identifier: GPL-2.0

//! The end of the object and the access mode of the descriptor: the errors and signals of accesses
//! that violate them.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::counting::stats;
use crate::outcome::Result;
use crate::view::{check_flags, resident};
use crate::{cases, check_counts, check_eq, check_err, check_sigbus};
use rmmap_sys::rustix::fs::{ftruncate, OFlags};
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::rustix::mm::{MapFlags, MprotectFlags, MremapFlags, ProtFlags};
use rmmap_sys::uapi::RMMAP_HOOK_PREPARE;
use rmmap_sys::{Errno, MapOptions};

cases! {
    Rmmap map_beyond_device_is_enxio ["DM-25"] "mapping beyond the device's capacity: ENXIO, up to the last offset that the core lets through";
    File map_beyond_file_is_sigbus_on_touch ["DM-24"] "a region is a file: mapping beyond its end works, a touch there is SIGBUS";
    Rmmap device_mapping_that_grows_past_the_end [] "mremap past the device's end: the new part is SIGBUS, BUS_ADRERR";
    Rmmap device_mapping_that_merges_past_the_end ["MR-14", "MR-15"] "a mapping that merges past the end: unseen by the mmap hook, ENXIO from mmap_prepare";
    Rmmap device_read_write_at_the_end [] "write past the device's end ENOSPC, across it partial; read at the end 0, across it short";
    File file_write_at_the_end_grows [] "a write past the end of a region grows it, as with a file";
    File touch_follows_truncation [] "ftruncate down: SIGBUS beyond the end; up: zeroes, in a mapping that was there before";
    Each read_only_descriptor_maps_read_only ["DM-31", "DM-35"] "O_RDONLY: no shared writable mapping, none by mprotect; private ones write";
    Each read_only_mapping_can_become_writable ["DM-34"] "O_RDWR: a read-only shared mapping is `sh ms mw` and mprotect makes it writable";
    Each write_only_descriptor_does_not_map ["DM-36"] "O_WRONLY: every mapping is EACCES";
    Rmmap descriptor_mode_limits_io [] "read of O_WRONLY, write and discard of O_RDONLY: EBADF";
}

fn map_beyond_device_is_enxio(cx: &Context) -> Result {
    let device = cx.device()?;
    let capacity = device.info()?.capacity;
    let page = P as u64;
    let last = u64::MAX - page + 1;
    let beyond = [
        (capacity, 1),
        (capacity - page, 2),
        (0, capacity / page + 1),
        (capacity + (1 << 40), 1),
        (1 << 62, 1),
        (1 << 63, 1),
        ((1 << 63) - page, 2),
        (last - page, 1),
    ];
    for (offset, pages) in beyond {
        for flags in [MapFlags::empty(), MapFlags::POPULATE, MapFlags::NORESERVE] {
            let shared = MapOptions::new(pages as usize * P)
                .offset(offset)
                .flags(flags);
            check_err!(
                shared.map(&device),
                Errno::NXIO,
                "{pages} pages at {offset:#x}"
            );
        }
        let private = MapOptions::new(pages as usize * P)
            .offset(offset)
            .private()
            .read_only();
        check_err!(
            private.map(&device),
            Errno::NXIO,
            "{pages} private pages at {offset:#x}"
        );
    }
    for (offset, pages) in [(last, 1), (last - page, 2)] {
        let options = MapOptions::new(pages * P).offset(offset);
        check_err!(
            options.map(&device),
            Errno::OVERFLOW,
            "{pages} pages at {offset:#x}"
        );
    }
    let end = MapOptions::new(P).offset(capacity - page).map(&device)?;
    check_eq!(end.touch_read(0)?, 0, "the device's last page");
    let all = MapOptions::new(capacity as usize).map(&device)?;
    check_eq!(
        all.touch_read(all.pages() - 1)?,
        0,
        "the last page of a mapping of all"
    );
    Ok(())
}

fn map_beyond_file_is_sigbus_on_touch(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    let m = area.part(2, 4).map(&area)?;
    m.touch_write(1, 1)?;
    let count = area.count()?;
    check_sigbus!(m.touch_read(2), m.address_of(2 * P));
    check_sigbus!(m.touch_write(3, 1), m.address_of(3 * P));
    check_counts!(count, fault_read: 1, fault_write: 1, answer_sigbus: 2, folios: 0);
    let private = area.part(2, 4).private().map(&area)?;
    let count = area.count()?;
    check_sigbus!(private.touch_write(2, 1), private.address_of(2 * P));
    check_counts!(count, fault_cow: 1, answer_sigbus: 1);
    check_eq!((resident(&m)?, area.held_pages()?), (1, 1));

    let far = MapOptions::new(P)
        .offset((1 << 63) - 2 * P as u64)
        .map(&area)?;
    check_sigbus!(far.touch_read(0), far.address());
    let farther = MapOptions::new(P).offset((1 << 63) - P as u64);
    check_err!(farther.map(&area), Errno::OVERFLOW);
    // A populate stops at EOF without an error.
    let m = area.part(2, 4).flags(MapFlags::POPULATE).map(&area)?;
    check_eq!((resident(&m)?, area.held_pages()?), (2, 2));
    Ok(())
}

fn device_mapping_that_grows_past_the_end(cx: &Context) -> Result {
    let device = cx.device()?;
    let capacity = device.info()?.capacity;
    let mut m = MapOptions::new(2 * P)
        .offset(capacity - 2 * P as u64)
        .map(&device)?;
    m.touch_write(1, 0x42)?;
    m.resize(4 * P, MremapFlags::MAYMOVE)?;
    let before = stats(&device)?.region.answer_sigbus;
    check_eq!((m.touch_read(0)?, m.touch_read(1)?), (0, 0x42));
    check_sigbus!(m.touch_read(2), m.address_of(2 * P));
    check_sigbus!(m.touch_write(3, 1), m.address_of(3 * P));
    check_eq!(stats(&device)?.region.answer_sigbus - before, 2);
    check_eq!(resident(&m)?, 2);
    Ok(())
}

fn device_mapping_that_merges_past_the_end(cx: &Context) -> Result {
    let device = cx.device()?;
    let info = device.info()?;
    let mut window = cx.window(4)?;
    let at = |offset| MapOptions::new(2 * P).offset(offset);
    window.map_over(0, &at(info.capacity - 2 * P as u64), Some(&device))?;
    let beyond = window.map_over(2 * P, &at(info.capacity), Some(&device));
    if info.hook == RMMAP_HOOK_PREPARE {
        check_err!(beyond, Errno::NXIO);
        return Ok(());
    }
    beyond?;
    window.touch_write(1, 1)?;
    check_sigbus!(window.touch_read(2), window.address_of(2 * P));
    check_sigbus!(window.touch_write(3, 1), window.address_of(3 * P));
    Ok(())
}

fn device_read_write_at_the_end(cx: &Context) -> Result {
    let device = cx.device()?;
    let end = device.info()?.capacity;
    let bytes = [0x61; 100];
    check_err!(pwrite(&device, &bytes, end), Errno::NOSPC);
    check_err!(pwrite(&device, &bytes, end + 12345), Errno::NOSPC);
    check_err!(pwrite(&device, &bytes, 1 << 62), Errno::NOSPC);
    check_eq!(
        pwrite(&device, &bytes, end - 10)?,
        10,
        "a write across the end"
    );
    check_eq!(pwrite(&device, &[], end)?, 0, "a write of nothing");
    let mut back = [0; 100];
    check_eq!(
        pread(&device, &mut back, end - 10)?,
        10,
        "a read across the end"
    );
    check_eq!(back[..10], [0x61; 10]);
    check_eq!(pread(&device, &mut back, end)?, 0, "a read at the end");
    check_eq!(
        pread(&device, &mut back, end + (1 << 40))?,
        0,
        "a read far past the end"
    );
    check_eq!(device.info()?.size, end, "the size after all that");
    Ok(())
}

fn file_write_at_the_end_grows(cx: &Context) -> Result {
    let area = cx.single_pages(2)?;
    let m = area.part(0, 4).map(&area)?;
    check_sigbus!(m.touch_read(2), m.address_of(2 * P));
    check_eq!(pwrite(&area, &[7; 200], 2 * P as u64 - 100)?, 200);
    let stat = rmmap_sys::rustix::fs::fstat(&area)?;
    check_eq!((stat.st_size, area.held_pages()?), (2 * P as i64 + 100, 2));
    check_eq!((m.touch_read(2)?, m.read_u64(2 * P + 104)?), (7, 0));
    // The gap is a hole.
    check_eq!(pwrite(&area, &[8], 9 * P as u64)?, 1);
    check_eq!((area.held_pages()?, m.touch_read(3)?), (3, 0));
    let mut back = [0xff; 100];
    check_eq!(pread(&area, &mut back, 9 * P as u64 - 50)?, 51);
    check_eq!((back[49], back[50], back[51]), (0, 8, 0xff));
    Ok(())
}

fn touch_follows_truncation(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let m = area.map()?;
    m.touch_write(3, 1)?;
    for round in 0..3 {
        ftruncate(&area, 2 * P as u64)?;
        check_sigbus!(m.touch_read(2), m.address_of(2 * P));
        check_sigbus!(m.touch_write(3, 1), m.address_of(3 * P));
        ftruncate(&area, 4 * P as u64)?;
        check_eq!(m.touch_read(3)?, 0, "page 3 in round {round}");
        m.touch_write(3, 1)?;
    }
    ftruncate(&area, 0)?;
    check_sigbus!(m.touch_read(0), m.address());
    check_eq!((resident(&m)?, area.held_pages()?), (0, 0));
    // A file shorter than a page: its page can be accessed as a whole.
    ftruncate(&area, 1)?;
    check_eq!(m.read_u64(P - 8)?, 0);
    check_sigbus!(m.touch_read(1), m.address_of(P));
    Ok(())
}

/// Opens an area's object with another access mode.
fn opened(area: &Area, flags: OFlags) -> rmmap_sys::Result<rmmap_sys::Device> {
    match area.kind() {
        Kind::Device => rmmap_sys::Device::open_with(flags),
        Kind::Region | Kind::Memfd => area.reopen(flags),
    }
}

fn read_only_descriptor_maps_read_only(cx: &Context) -> Result {
    let area = cx.area(4)?;
    area.write(0, &[3])?;
    let fd = opened(&area, OFlags::RDONLY)?;
    check_err!(area.whole().map(&fd), Errno::ACCESS);
    check_err!(area.whole().prot(ProtFlags::WRITE).map(&fd), Errno::ACCESS);
    let validate = area.whole().only_flags(MapFlags::SHARED_VALIDATE);
    check_err!(validate.map(&fd), Errno::ACCESS);

    let m = area.whole().read_only().map(&fd)?;
    check_eq!(m.touch_read(0)?, 3);
    check_flags(&m, &["ms"], &["sh", "mw"])?;
    check_err!(
        m.protect(0, P, MprotectFlags::READ | MprotectFlags::WRITE),
        Errno::ACCESS
    );

    let private = area.whole().private().map(&fd)?;
    private.touch_write(0, 4)?;
    private.touch_write(1, 4)?;
    check_eq!((area.read(0, 1)?[0], area.read(P, 1)?[0]), (3, 0));
    Ok(())
}

fn read_only_mapping_can_become_writable(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let m = area.whole().read_only().map(&area)?;
    check_flags(&m, &["sh", "ms", "mw"], &["wr"])?;
    check_eq!(m.touch_read(0)?, 0);
    m.protect(0, m.len(), MprotectFlags::READ | MprotectFlags::WRITE)?;
    m.touch_write(0, 5)?;
    m.touch_write(1, 6)?;
    check_eq!((area.read(0, 1)?[0], area.read(P, 1)?[0]), (5, 6));
    Ok(())
}

fn write_only_descriptor_does_not_map(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let fd = opened(&area, OFlags::WRONLY)?;
    check_err!(area.whole().prot(ProtFlags::WRITE).map(&fd), Errno::ACCESS);
    check_err!(area.whole().private().read_only().map(&fd), Errno::ACCESS);
    check_err!(
        area.whole().private().prot(ProtFlags::empty()).map(&fd),
        Errno::ACCESS
    );
    Ok(())
}

fn descriptor_mode_limits_io(cx: &Context) -> Result {
    for kind in [Kind::Device, Kind::Region] {
        let area = Area::of_single_pages(kind, 4)?;
        area.write(0, &[1])?;
        let (reader, writer) = (
            opened(&area, OFlags::RDONLY)?,
            opened(&area, OFlags::WRONLY)?,
        );
        check_err!(pread(&writer, &mut [0], area.base()), Errno::BADF);
        check_err!(pwrite(&reader, &[2], area.base()), Errno::BADF);
        check_err!(reader.discard(area.base(), P as u64), Errno::BADF);
        check_eq!(pread(&reader, &mut [0], area.base())?, 1);
        writer.discard(area.base(), P as u64)?;
        check_eq!((area.read(0, 1)?[0], area.held_pages()?), (0, 0));
    }
    let _ = cx;
    Ok(())
}
