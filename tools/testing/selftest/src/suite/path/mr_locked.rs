// SPDX-License-Identifier: GPL-2.0

//! mmap_region() and mappings that cannot be locked: it drops the request without an error.

use crate::context::{Context, P};
use crate::disk::{dax_ext4, ext4};
use crate::hugepool::{HugePool, HUGE};
use crate::mounts::Mounts;
use crate::outcome::Result;
use crate::view::{check_flags, kb, locked_kb, resident};
use crate::{cases, check_eq};
use rmmap_sys::rustix::mm::{mlockall, munlockall, MapFlags, MlockAllFlags};
use rmmap_sys::MapOptions;
use std::fs::File;

cases! {
    Rmmap hugetlb_is_not_locked ["MR-37"] "control: MAP_LOCKED of huge pages: populated, no `lo`, VmLck 0";
    Rmmap dax_is_not_locked ["MR-37"] "control: MAP_LOCKED of a file with DAX: populated, no `lo`, VmLck 0; the same file without DAX is locked", 60;
    Rmmap droppable_is_not_locked ["MR-37"] "control: droppable memory under MCL_FUTURE: populated, no `lo`, VmLck 0";
}

fn hugetlb_is_not_locked(_: &Context) -> Result {
    let pool = HugePool::new(2)?;
    let file = pool.file(2 * HUGE)?;
    let lazy = MapOptions::new(2 * HUGE).map(&file)?;
    check_eq!(resident(&lazy)?, 0);
    let m = MapOptions::new(2 * HUGE)
        .flags(MapFlags::LOCKED)
        .map(&file)?;
    check_flags(&m, &["ht", "sh"], &["lo", "lf"])?;
    check_eq!((locked_kb()?, resident(&m)?), (0, m.pages()));
    check_eq!(HugePool::count("Free")?, 0);
    Ok(())
}

fn dax_is_not_locked(_: &Context) -> Result {
    let mounts = Mounts::new()?;
    for (folder, flag) in [(dax_ext4(&mounts)?, None), (ext4(&mounts, 16)?, Some("lo"))] {
        let path = folder.join("file");
        std::fs::write(&path, vec![0x5a; 16 * P])?;
        let file = File::options().read(true).write(true).open(&path)?;
        file.sync_all()?;
        let m = MapOptions::new(16 * P).flags(MapFlags::LOCKED).map(&file)?;
        let (has, locked): (&[&str], _) = match &flag {
            Some(flag) => (&[flag], kb(16)),
            None => (&[], 0),
        };
        let has_not = if flag.is_none() {
            &["lo", "lf"][..]
        } else {
            &["lf"]
        };
        check_flags(&m, has, has_not)?;
        let seen = (locked_kb()?, resident(&m)?);
        check_eq!(seen, (locked, 16), "VmLck and pages of {}", path.display());
        check_eq!(m.touch_read(15)?, 0x5a);
    }
    Ok(())
}

fn droppable_is_not_locked(_: &Context) -> Result {
    // rustix has no name for it. It is a mapping type, like MAP_PRIVATE.
    let droppable = MapFlags::from_bits_retain(0x8);
    let options = MapOptions::new(16 * P).only_flags(droppable);
    mlockall(MlockAllFlags::FUTURE)?;
    let before = locked_kb()?;
    let m = options.map_anonymous()?;
    let ordinary = MapOptions::new(16 * P).private().map_anonymous()?;
    let locked = locked_kb()? - before;
    check_flags(&m, &["dp", "wr"], &["lo", "lf"])?;
    check_flags(&ordinary, &["lo"], &["dp"])?;
    check_eq!(locked, kb(16), "kB locked, those of the ordinary mapping");
    check_eq!((resident(&m)?, resident(&ordinary)?), (16, 16));
    munlockall()?;
    Ok(())
}
