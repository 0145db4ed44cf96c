// SPDX-License-Identifier: GPL-2.0

//! Pages that the kernel pins or accesses itself (`get_user_pages()`): direct I/O,
//! `process_vm_writev(2)`. Such a fault has the flags of a populate, but needs only its page.

use super::policy::{folios, held, map_aligned};
use crate::context::{needs_large_folios, Context, P, PMD, PMD_ORDER};
use crate::disk::ext4;
use crate::mounts::Mounts;
use crate::outcome::{lacks, Result};
use crate::{cases, check, check_eq};
use rmmap_sys::rustix::fs::{open, Mode, OFlags};
use rmmap_sys::rustix::mm::{Advice, MapFlags};
use rmmap_sys::uapi::{RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_ALWAYS};
use rmmap_sys::{Device, Errno, MapOptions, Mapping};

cases! {
    Rmmap gup_remote_takes_the_page [] "process_vm_writev of one page in each huge page adds just these pages, under every policy";
    Rmmap gup_direct_io_takes_the_pages [] "O_DIRECT reads into scattered pages, and writes of scattered holes, add just these pages";
    Rmmap gup_in_order_is_like_touches [] "O_DIRECT reads into page after page allocate the same folios as touches in order";
    Rmmap gup_populates_take_the_largest [] "MAP_POPULATE, mlock and MADV_POPULATE differ from direct I/O: huge pages";
}

/// Parts of the size of a huge page in each region.
const PARTS: usize = 8;

fn region(cx: &Context, flags: u32) -> Result<(Device, Mapping)> {
    let region = cx.device()?.create((PARTS * PMD) as u64, flags)?;
    let mapping = map_aligned(cx, &region, PARTS * PMD / P)?;
    Ok((region, mapping))
}

fn gup_remote_takes_the_page(cx: &Context) -> Result {
    for flags in [RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_ALWAYS] {
        let (region, mapping) = region(cx, flags)?;
        for part in 0..PARTS {
            let written = mapping.write_remotely(part * PMD, &[7]);
            let written = written.map_err(|e| lacks("write remotely", e, &[Errno::NOSYS]))?;
            check_eq!(written, 1);
        }
        check_eq!(held(&region)?, PARTS, "flags {flags:#x}");
        check_eq!(mapping.touch_read((PARTS - 1) * PMD / P)?, 7);
    }
    Ok(())
}

fn gup_direct_io_takes_the_pages(cx: &Context) -> Result {
    let mounts = Mounts::new()?;
    let file = ext4(&mounts, 16)?.join("file");
    std::fs::write(&file, vec![5; PARTS * P])?;
    let direct = open(
        &file,
        OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let (into, mapping) = region(cx, RMMAP_CREATE_ADAPTIVE)?;
    for part in 0..PARTS {
        check_eq!(
            mapping.pread_into(part * PMD, P, &direct, (part * P) as u64)?,
            P
        );
    }
    check_eq!(held(&into)?, PARTS, "pages read into");
    check_eq!(mapping.touch_read((PARTS - 1) * PMD / P)?, 5);
    let (from, mapping) = region(cx, RMMAP_CREATE_ADAPTIVE)?;
    for part in 0..PARTS {
        check_eq!(
            mapping.pwrite_from(part * PMD, P, &direct, (part * P) as u64)?,
            P
        );
    }
    check_eq!(held(&from)?, PARTS, "pages written from");
    Ok(())
}

fn gup_in_order_is_like_touches(cx: &Context) -> Result {
    const PAGES: usize = 100;
    let mounts = Mounts::new()?;
    let file = ext4(&mounts, 16)?.join("file");
    std::fs::write(&file, vec![5; P])?;
    let direct = open(&file, OFlags::RDONLY | OFlags::DIRECT, Mode::empty())?;
    let (touched, mapping) = region(cx, RMMAP_CREATE_ADAPTIVE)?;
    for page in 0..PAGES {
        mapping.touch_write(page, 5)?;
    }
    let (read, mapping) = region(cx, RMMAP_CREATE_ADAPTIVE)?;
    for page in 0..PAGES {
        check_eq!(mapping.pread_into(page * P, P, &direct, 0)?, P);
    }
    check_eq!(folios(&read)?, folios(&touched)?);
    check!(held(&read)? <= 2 * PAGES, "{} held", held(&read)?);
    // One call for many pages takes the same faults.
    std::fs::write(&file, vec![5; PAGES * P])?;
    let (at_once, mapping) = region(cx, RMMAP_CREATE_ADAPTIVE)?;
    check_eq!(mapping.pread_into(0, PAGES * P, &direct, 0)?, PAGES * P);
    check_eq!(folios(&at_once)?, folios(&touched)?);
    Ok(())
}

fn gup_populates_take_the_largest(cx: &Context) -> Result {
    needs_large_folios()?;
    let largest = [(PMD_ORDER, PARTS as u64)];
    for flags in [MapFlags::POPULATE, MapFlags::LOCKED] {
        let region = cx
            .device()?
            .create((PARTS * PMD) as u64, RMMAP_CREATE_ADAPTIVE)?;
        let _mapping = MapOptions::new(PARTS * PMD).flags(flags).map(&region)?;
        check_eq!(folios(&region)?, largest, "{flags:?}");
    }
    for advice in [Advice::LinuxPopulateRead, Advice::LinuxPopulateWrite] {
        let (region, mapping) = region(cx, RMMAP_CREATE_ADAPTIVE)?;
        mapping.advise(0, PARTS * PMD, advice)?;
        check_eq!(folios(&region)?, largest, "{advice:?}");
    }
    let (region, mapping) = region(cx, RMMAP_CREATE_ADAPTIVE)?;
    mapping.lock(0, PARTS * PMD)?;
    check_eq!(folios(&region)?, largest, "mlock");
    Ok(())
}
