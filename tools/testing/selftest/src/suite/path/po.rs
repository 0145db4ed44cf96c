// SPDX-License-Identifier: GPL-2.0

//! __mm_populate(): the kind of fault that it raises for a page, and its effect.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::disk::ext4;
use crate::mounts::Mounts;
use crate::outcome::{Result, Stop};
use crate::view::{check_flags, faults_of_stores, kb, resident, smap};
use crate::{cases, check, check_eq};
use rmmap_sys::control::take_protection_key;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::{MapFlags, ProtFlags};
use rmmap_sys::rustix::mount::MountFlags;
use rmmap_sys::{run_in_child, Device, End, Errno, MapOptions, Mapping};
use std::fs::File;

cases! {
    Rmmap populate_exec_only ["PO-09"] "PROT_EXEC alone is populated where no protection key hides it, else not at all";
    Rmmap populate_private_copies_pages_of_memfd ["PO-07"] "control: a private writable memfd is populated with copies of pages that stay; the device has none";
    Rmmap stores_to_disk_files_fault_once ["MR-40", "PO-08"] "control: a file of a driver with page_mkwrite is populated write-protected: each page takes a fault at its first store", 60;
    Rmmap populate_dirties_nothing ["PO-08", "MR-40"] "MAP_POPULATE of a shared writable mapping reads: nothing dirty (control: memfd), then stores without a fault";
}

/// Pages that these tests map.
const PAGES: usize = 8;

fn populate_private_copies_pages_of_memfd(_: &Context) -> Result {
    for (kind, held) in [(Kind::Memfd, PAGES), (Kind::Device, 0)] {
        let area = Area::new(kind, PAGES)?;
        let m = area
            .whole()
            .private()
            .flags(MapFlags::POPULATE)
            .map(&area)?;
        check_eq!(
            (resident(&m)?, smap(&m)?.kb("Anonymous")),
            (PAGES, kb(PAGES))
        );
        check_eq!(
            area.held_pages()?,
            held,
            "pages in {kind:?} beside the copies"
        );
    }
    Ok(())
}

/// Returns the dirty size of a mapping, kB: smaps counts dirty page table entries and dirty pages.
fn dirty(m: &Mapping) -> Result<u64> {
    let smap = smap(m)?;
    Ok(smap.kb("Private_Dirty") + smap.kb("Shared_Dirty"))
}

fn populate_dirties_nothing(_: &Context) -> Result {
    for kind in [Kind::Memfd, Kind::Device] {
        let area = Area::of_single_pages(kind, PAGES)?;
        let count = area.count()?;
        let m = area.whole().flags(MapFlags::POPULATE).map(&area)?;
        check_eq!(resident(&m)?, PAGES);
        // rmmap adds its pages dirty.
        let want = if area.is_rmmap() { kb(PAGES) } else { 0 };
        check_eq!(
            dirty(&m)?,
            want,
            "kB of {kind:?} that are dirty after MAP_POPULATE"
        );
        if let Some(writes) = count.get("fault_write")? {
            check_eq!((writes, count.get("fault_read")?), (0, Some(PAGES as u64)));
        }
        check_eq!(faults_of_stores(&m)?, 0, "faults of stores to {kind:?}");
        check_eq!(
            dirty(&m)?,
            kb(PAGES),
            "kB of {kind:?} that are dirty after stores"
        );
    }
    Ok(())
}

fn stores_to_disk_files_fault_once(_: &Context) -> Result {
    let mounts = Mounts::new()?;
    let path = ext4(&mounts, 16)?.join("file");
    std::fs::write(&path, vec![0x5a; PAGES * P])?;
    let file = File::options().read(true).write(true).open(&path)?;
    file.sync_all()?;
    let options = MapOptions::new(PAGES * P).flags(MapFlags::POPULATE);
    let m = options.map(&file)?;
    check_eq!((resident(&m)?, dirty(&m)?), (PAGES, 0));
    check_eq!(
        faults_of_stores(&m)?,
        PAGES as u64,
        "faults of first stores"
    );
    check_eq!(faults_of_stores(&m)?, 0, "faults of second stores");
    check_eq!(dirty(&m)?, 32);
    Ok(())
}

/// Maps executable pages of a fresh area, populated, and returns their protection key, how many are
/// resident, and how many the area holds.
fn exec_only(device: &Device) -> Result<(u64, usize, usize)> {
    let area = Area::new(Kind::Device, PAGES)?;
    let options = area.whole().prot(ProtFlags::EXEC).flags(MapFlags::POPULATE);
    let m = options.map(device)?;
    check_flags(&m, &["ex", "sh"], &["rd", "wr"])?;
    let key = smap(&m)?.kb("ProtectionKey");
    Ok((key, resident(&m)?, area.held_pages()?))
}

fn populate_exec_only(_: &Context) -> Result {
    // /dev itself may be mounted noexec.
    let device = Mounts::new()?.device(MountFlags::empty(), OFlags::RDWR)?;
    let info = std::fs::read_to_string("/proc/cpuinfo")?;
    let has_keys = info.split_whitespace().any(|flag| flag == "ospke");
    // A process that has allocated all keys behaves as on a processor without any. Do that in a
    // child: the kernel keeps the key that it allocates for the first such mapping.
    let (end, text) = run_in_child(|| {
        let keyless = || -> Result<_> {
            let end = loop {
                if let Err(e) = take_protection_key() {
                    break e;
                }
            };
            check_eq!(end, Errno::NOSPC);
            exec_only(&device)
        };
        format!("{:?}", keyless()).into_bytes()
    })?;
    let expected: Result<_> = Ok((0u64, PAGES, PAGES));
    check_eq!(
        (end, String::from_utf8_lossy(&text).into_owned()),
        (End::Exited(0), format!("{expected:?}")),
        "key, pages resident and pages held without protection keys"
    );
    let (key, resident, held) = exec_only(&device)?;
    if !has_keys {
        check_eq!((key, resident, held), (0, PAGES, PAGES));
        return Err(Stop::skip(
            "the processor has no protection keys (only that half was tested)",
        ));
    }
    check!(key > 0, "executable pages have no key of their own");
    check_eq!(
        (resident, held),
        (0, 0),
        "pages resident and held with key {key}"
    );
    Ok(())
}
