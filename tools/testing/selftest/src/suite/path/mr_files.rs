// SPDX-License-Identifier: GPL-2.0

//! mmap_region() and the resulting VMA: its file, and flags that other features add.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::view::{check_flags, kb, resident, smap, vma_pages, vmas};
use crate::{cases, check_eq};
use rmmap_sys::control::merge_memory;
use rmmap_sys::rustix::fs::{open, Mode, OFlags};
use rmmap_sys::{run_in_child, End, Errno, MapOptions};

cases! {
    Rmmap zero_device_private ["MR-29"] "control: /dev/zero mapped privately is anonymous memory with a name";
    Rmmap zero_device_shared ["MR-29"] "control: /dev/zero mapped shared gets a new file, `/dev/zero (deleted)`";
    Rmmap soft_dirty_is_set ["MR-39"] "a mapping is soft-dirty, cleared by clear_refs, again as a whole after a merge";
    Rmmap ksm_takes_private_only ["MR-41"] "PR_SET_MEMORY_MERGE: a private mapping of the device is `mg`, a shared one is not";
}

/// Opens `/dev/zero` for reading and writing.
fn zero() -> Result<rmmap_sys::Device> {
    let fd = open("/dev/zero", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    Ok(fd.into())
}

fn zero_device_private(_: &Context) -> Result {
    let fd = zero()?;
    let m = MapOptions::new(4 * P).private().map(&fd)?;
    drop(fd);
    let maps = vmas(&m)?;
    check_eq!(maps.len(), 1);
    check_eq!(
        (maps[0].name.as_deref(), maps[0].perms.as_str()),
        (Some("/dev/zero"), "rw-p")
    );
    check_eq!(m.touch_read(0)?, 0);
    m.touch_write(1, 1)?;
    // Anonymous memory has no page cache: an untouched page does not exist.
    check_eq!(smap(&m)?.kb("Anonymous"), kb(1));
    check_eq!(m.mincore(0, m.len())?, [true, true, false, false]);
    let pages = rmmap_procfs::Process::Myself.pagemap()?;
    let pages = pages.pages(m.address(), 2)?;
    check_eq!(pages.iter().filter(|page| page.is_file()).count(), 0);
    let (end, _) = run_in_child(|| {
        let _ = m.touch_write(1, 2);
        Vec::new()
    })?;
    check_eq!((end, m.touch_read(1)?), (End::Exited(0), 1));
    Ok(())
}

fn zero_device_shared(_: &Context) -> Result {
    let fd = zero()?;
    let (m, other) = (
        MapOptions::new(4 * P).map(&fd)?,
        MapOptions::new(4 * P).map(&fd)?,
    );
    let name = |m| -> Result<_> { Ok(vmas(m)?.remove(0)) };
    let (first, second) = (name(&m)?, name(&other)?);
    check_eq!(
        (first.name.as_deref(), first.perms.as_str()),
        (Some("/dev/zero (deleted)"), "rw-s")
    );
    check_eq!(
        first.inode == second.inode,
        false,
        "that two mappings have the same file"
    );
    let (end, _) = run_in_child(|| {
        let _ = m.touch_write(1, 2);
        Vec::new()
    })?;
    check_eq!(
        (end, m.touch_read(1)?, other.touch_read(1)?),
        (End::Exited(0), 2, 0)
    );
    let pages = rmmap_procfs::Process::Myself.pagemap()?;
    check_eq!(pages.pages(m.address_of(P), 1)?[0].is_file(), true);
    Ok(())
}

fn soft_dirty_is_set(cx: &Context) -> Result {
    let area = Area::new(Kind::Device, 8)?;
    let mut w = cx.window(8)?;
    area.map_at(&mut w, 0, area.part(0, 4))?;
    if !smap(&w)?.vm_flags.has("sd") {
        // A kernel that has the flag shows it for each new mapping.
        let scratch = MapOptions::new(P).private().map_anonymous()?;
        if !smap(&scratch)?.vm_flags.has("sd") {
            return Err(Stop::skip(
                "this kernel has no soft-dirty bits (MEM_SOFT_DIRTY)",
            ));
        }
    }
    check_flags(&w, &["sd"], &[])?;
    std::fs::write("/proc/self/clear_refs", "4")?;
    check_flags(&w, &[], &["sd"])?;
    area.map_at(&mut w, 4, area.part(4, 4))?;
    check_eq!(
        vma_pages(&w)?,
        [(0, 8)],
        "VMAs, whose soft-dirty bits differ"
    );
    check_flags(&w, &["sd"], &[])?;
    std::fs::write("/proc/self/clear_refs", "4")?;
    check_flags(&w, &[], &["sd"])?;
    check_eq!(resident(&w)?, 0);
    Ok(())
}

fn ksm_takes_private_only(_: &Context) -> Result {
    let area = Area::new(Kind::Device, 8)?;
    let before = area.whole().private().map(&area)?;
    check_flags(&before, &[], &["mg"])?;
    match merge_memory() {
        Err(Errno::INVAL) => return Err(Stop::skip("this kernel has no KSM")),
        result => result?,
    }
    let private = area.whole().private().map(&area)?;
    check_flags(&private, &["mg"], &[])?;
    let shared = area.map()?;
    check_flags(&shared, &["sh"], &["mg"])?;
    // The call itself applies to existing mappings.
    check_flags(&before, &["mg"], &[])?;
    Ok(())
}
