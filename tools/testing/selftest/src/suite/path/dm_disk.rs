// SPDX-License-Identifier: GPL-2.0

//! do_mmap(): files on disk that differ from files in memory: active swap files, and files whose
//! pages are the disk's own (DAX).

use crate::context::{Context, P};
use crate::disk::{dax_ext4, ext4, Swap};
use crate::mounts::Mounts;
use crate::outcome::Result;
use crate::view::{check_flags, smap};
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::mounts::swapon;
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::uapi::RMMAP_DEVICE;
use rmmap_sys::{Errno, MapOptions};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

cases! {
    Rmmap swap_file_is_not_mapped_writable ["DM-32"] "a file on ext4 that is swapped to: shared and writable ETXTBSY, otherwise and afterwards mapped", 60;
    Rmmap sync_is_kept_with_dax ["DM-28"] "MAP_SYNC of a file on ext4 with DAX: `sf`, and its page is the disk's; not of one without", 60;
}

/// Size of these files, bytes.
const SIZE: usize = 4 << 20;

/// Creates a file with all its blocks.
fn file(path: &Path) -> Result<File> {
    let mut options = File::options();
    let mut file = options.read(true).write(true).create_new(true).open(path)?;
    file.write_all(&vec![0x5a; SIZE])?;
    file.sync_all()?;
    Ok(file)
}

/// Returns whether `/proc/swaps` lists the file.
fn is_swapped_to(path: &Path) -> Result<bool> {
    let text = fs::read_to_string("/proc/swaps")?;
    let mut names = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    Ok(names.any(|name| Path::new(name) == path))
}

fn swap_file_is_not_mapped_writable(_: &Context) -> Result {
    let mounts = Mounts::new()?;
    let path = ext4(&mounts, 16)?.join("swap");
    let file = file(&path)?;
    let page = MapOptions::new(P);
    page.map(&file)?;

    // swapon(2) refuses the device itself.
    check_err!(swapon(Path::new(RMMAP_DEVICE)), Errno::INVAL);
    let swap = Swap::on(&path)?;
    check!(
        is_swapped_to(&path)?,
        "{} is not in /proc/swaps",
        path.display()
    );
    check_err!(page.map(&file), Errno::TXTBSY);
    let validate = page.only_flags(MapFlags::SHARED_VALIDATE);
    check_err!(validate.map(&file), Errno::TXTBSY);
    // A read-only descriptor fails earlier, with another error.
    check_err!(page.map(File::open(&path)?), Errno::ACCESS);
    let shared = page.read_only().map(&file)?;
    check_eq!(smap(&shared)?.map.perms, "r--s");
    let private = page.private().map(&file)?;
    check_eq!(smap(&private)?.map.perms, "rw-p");
    private.touch_write(0, 1)?;

    drop(swap);
    check!(
        !is_swapped_to(&path)?,
        "{} is still in /proc/swaps",
        path.display()
    );
    let m = page.map(&file)?;
    check_flags(&m, &["sh", "ms", "wr"], &[])?;
    m.touch_write(0, 2)?;
    Ok(())
}

fn sync_is_kept_with_dax(_: &Context) -> Result {
    let mounts = Mounts::new()?;
    let folder = dax_ext4(&mounts)?;
    let sync = MapOptions::new(2 * P).only_flags(MapFlags::SHARED_VALIDATE | MapFlags::SYNC);
    let dax = file(&folder.join("file"))?;
    let m = sync.map(&dax)?;
    check_eq!(smap(&m)?.map.perms, "rw-s");
    check_flags(&m, &["sf", "sh", "ms"], &[])?;
    check_flags(&MapOptions::new(P).map(&dax)?, &["sh"], &["sf"])?;
    m.touch_write(1, 7)?;
    check_eq!((m.touch_read(0)?, m.touch_read(1)?), (0x5a, 7));
    // It does not let unknown flags pass.
    let unknown = sync.flags(MapFlags::from_bits_retain(0x0200_0000));
    check_err!(unknown.map(&dax), Errno::OPNOTSUPP);
    check_page_is_the_disks(&m)?;

    let without = ext4(&mounts, 16)?;
    check_err!(sync.map(&file(&without.join("file"))?), Errno::OPNOTSUPP);
    Ok(())
}

/// Checks that the page of a mapping is one of the disk's memory.
fn check_page_is_the_disks(m: &rmmap_sys::Mapping) -> Result {
    let frame = rmmap_procfs::Process::Myself
        .pagemap()?
        .pages(m.address_of(P), 1)?[0]
        .pfn();
    let memory = fs::read_to_string("/proc/iomem")?;
    let ranges = memory
        .lines()
        .filter(|line| line.contains("Persistent Memory"));
    let mut ranges = ranges.filter_map(|line| line.split_whitespace().next()?.split_once('-'));
    let address = frame * P as u64;
    let hex = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
    let is_there = ranges.any(|(start, end)| (hex(start)..=hex(end)).contains(&address));
    check!(
        is_there,
        "the page at {address:#x} is not in the disk: {memory}"
    );
    Ok(())
}
