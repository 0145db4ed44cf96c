// SPDX-License-Identifier: GPL-2.0

//! Regions are shared between processes that map the same object, and with nobody else.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::counting::stats;
use crate::outcome::Result;
use crate::{cases, check_eq, check_err};
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::{fork, Device, End, Errno, MapOptions};

cases! {
    Rmmap regions_are_isolated [] "stores and discards in one of 16 regions are not seen in the others, nor in the device";
    Rmmap device_opens_share_one_region [] "two opens of the device are the same memory, in two processes as well";
    File passed_descriptor_is_the_same_memory [] "a descriptor received through a socket (SCM_RIGHTS) maps the same pages";
    File reopened_descriptor_is_the_same_memory [] "a descriptor opened again through /proc/self/fd maps the same pages, with its own access mode";
    Each child_and_parent_share_new_pages [] "pages that a child touches first are the parent's too, without another allocation";
    Rmmap info_tells_region_from_device [] "INFO: kind, size, resident, and totals that grow and shrink with regions";
    Rmmap stats_are_per_region [] "STATS: a region counts its own faults, the device counts all";
}

fn regions_are_isolated(cx: &Context) -> Result {
    let device = cx
        .area(4)
        .and_then(|_| crate::area::Area::of_single_pages(Kind::Device, 4))?;
    let dm = device.map()?;
    dm.touch_write(0, 0xdd)?;
    let regions = (0..16).map(|_| cx.region(4)).collect::<Result<Vec<_>>>()?;
    let maps = regions.iter().map(|r| MapOptions::new(4 * P).map(r));
    let maps = maps.collect::<rmmap_sys::Result<Vec<_>>>()?;
    for (i, m) in maps.iter().enumerate() {
        check_eq!(m.touch_read(0)?, 0, "the first byte of the new region {i}");
        for page in 0..4 {
            m.touch_write(page, 16 * page as u8 + i as u8)?;
        }
    }
    regions[7].discard(0, 2 * P as u64)?;
    for (i, m) in maps.iter().enumerate() {
        for page in 0..4 {
            let want = if i == 7 && page < 2 {
                0
            } else {
                16 * page as u8 + i as u8
            };
            check_eq!(m.touch_read(page)?, want, "page {page} of region {i}");
        }
    }
    check_eq!((dm.touch_read(0)?, dm.touch_read(1)?), (0xdd, 0));
    check_eq!(device.held_pages()?, 2);
    check_eq!(regions[3].info()?.resident, 4 * P as u64);
    Ok(())
}

fn device_opens_share_one_region(cx: &Context) -> Result {
    let area = Area::of_single_pages(Kind::Device, 4)?;
    let m = area.map()?;
    m.touch_write(2, 0x77)?;
    let other = cx.device()?;
    let o = area.part(0, 4).map(&other)?;
    check_eq!(o.touch_read(2)?, 0x77);
    o.touch_write(3, 0x78)?;
    check_eq!(area.read(3 * P, 1)?, [0x78]);

    // Another process opens the device and maps it at another address.
    let mut child = fork(|_| {
        let Ok(fd) = Device::open() else { return 1 };
        let Ok(m) = area.part(2, 2).map(&fd) else {
            return 2;
        };
        match (m.touch_read(0), m.touch_read(1), m.touch_write(1, 0x79)) {
            (Ok(0x77), Ok(0x78), Ok(())) => 0,
            _ => 3,
        }
    })?;
    check_eq!(child.wait()?, End::Exited(0));
    check_eq!(m.touch_read(3)?, 0x79);
    check_eq!(area.held_pages()?, 2);
    Ok(())
}

fn passed_descriptor_is_the_same_memory(cx: &Context) -> Result {
    // The child inherits neither mapping nor descriptor: the region is created after the fork.
    let mut child = fork(|channel| {
        let Ok(fd) = channel.receive_fd() else {
            return 1;
        };
        let Ok(m) = MapOptions::new(4 * P).map(&fd) else {
            return 2;
        };
        match (m.touch_read(1), m.touch_write(2, 0x34)) {
            (Ok(0x12), Ok(())) => 0,
            _ => 3,
        }
    })?;
    let area = cx.single_pages(4)?;
    let m = area.map()?;
    m.touch_write(1, 0x12)?;
    child.channel().send_fd(&area)?;
    check_eq!(child.wait()?, End::Exited(0));
    check_eq!(m.touch_read(2)?, 0x34);
    check_eq!(area.held_pages()?, 2);
    Ok(())
}

fn reopened_descriptor_is_the_same_memory(cx: &Context) -> Result {
    let area = cx.area(4)?;
    area.write(P, &[5])?;
    let again = area.reopen(OFlags::RDWR)?;
    let m = MapOptions::new(4 * P).map(&again)?;
    check_eq!(m.touch_read(1)?, 5);
    m.touch_write(1, 6)?;
    check_eq!(area.read(P, 1)?, [6]);
    let read_only = area.reopen(OFlags::RDONLY)?;
    check_err!(MapOptions::new(P).map(&read_only), Errno::ACCESS);
    let view = MapOptions::new(4 * P).read_only().map(&read_only)?;
    check_eq!(view.touch_read(1)?, 6);
    // The region lives until the last of them is dropped.
    drop((area, again, m));
    let late = MapOptions::new(4 * P).read_only().map(&read_only)?;
    check_eq!((view.touch_read(1)?, late.touch_read(1)?), (6, 6));
    Ok(())
}

fn child_and_parent_share_new_pages(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let m = area.map()?;
    let mut child =
        fork(|_| i32::from((0..8).any(|page| m.touch_write(page, 0x50 + page as u8).is_err())))?;
    check_eq!(child.wait()?, End::Exited(0));
    let count = area.count()?;
    for page in 0..8 {
        check_eq!(m.touch_read(page)?, 0x50 + page as u8);
    }
    if let Some(new) = count.get("answer_new")? {
        check_eq!(new, 0, "pages allocated where the child had touched");
    }
    check_eq!(area.held_pages()?, 8);
    Ok(())
}

fn info_tells_region_from_device(cx: &Context) -> Result {
    use rmmap_sys::uapi::{RMMAP_ABI_VERSION, RMMAP_KIND_DEVICE, RMMAP_KIND_REGION};
    let device = cx.device()?;
    let before = device.info()?;
    check_eq!(
        (before.abi_version, before.kind),
        (RMMAP_ABI_VERSION, RMMAP_KIND_DEVICE)
    );
    check_eq!(before.size, before.capacity);
    let region = cx.region_of_pages(8)?;
    let m = MapOptions::new(8 * P).map(&region)?;
    for page in [1, 4, 5] {
        m.touch_write(page, 1)?;
    }
    let (info, after) = (region.info()?, device.info()?);
    check_eq!(
        (info.kind, info.size, info.resident),
        (RMMAP_KIND_REGION, 8 * P as u64, 3 * P as u64)
    );
    check_eq!(
        (info.capacity, info.max_bytes, info.hook),
        (before.capacity, before.max_bytes, before.hook)
    );
    check_eq!(after.regions - before.regions, 1);
    check_eq!(after.used_bytes - before.used_bytes, 3 * P as u64);
    check_eq!(
        after.resident,
        before.resident,
        "pages of the device's own region"
    );
    drop((region, m));
    let end = device.info()?;
    check_eq!(
        (end.regions, end.used_bytes),
        (before.regions, before.used_bytes)
    );
    Ok(())
}

fn stats_are_per_region(cx: &Context) -> Result {
    let (a, b) = (cx.region_of_pages(4)?, cx.region_of_pages(4)?);
    let (ma, mb) = (
        MapOptions::new(4 * P).map(&a)?,
        MapOptions::new(4 * P).map(&b)?,
    );
    let before = stats(&a)?.device;
    ma.touch_write(0, 1)?;
    mb.touch_read(0)?;
    mb.touch_read(1)?;
    let (a, b, all) = (stats(&a)?.region, stats(&b)?.region, stats(&b)?.device);
    check_eq!(
        (a.fault_write, a.fault_read, a.answer_new, a.folios[0]),
        (1, 0, 1, 1)
    );
    check_eq!(
        (b.fault_write, b.fault_read, b.answer_new, b.folios[0]),
        (0, 2, 2, 2)
    );
    check_eq!(all.fault_write - before.fault_write, 1);
    check_eq!(all.fault_read - before.fault_read, 2);
    check_eq!(all.answer_new - before.answer_new, 3);
    Ok(())
}
