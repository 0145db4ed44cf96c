// SPDX-License-Identifier: GPL-2.0

//! do_mmap(): the type of a mapping of a file, and its flags.

use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{check_flags, resident, smap};
use crate::{cases, check_counts, check_eq, check_err};
use rmmap_sys::map::MAP_32BIT;
use rmmap_sys::rustix::fs::{open, Mode, OFlags};
use rmmap_sys::rustix::mm::{MapFlags, ProtFlags};
use rmmap_sys::rustix::pipe::pipe;
use rmmap_sys::{Errno, MapOptions};

cases! {
    Each unknown_flags_do_not_matter ["DM-26"] "MAP_SHARED with an unknown flag: as without, `sh ms`";
    Each unknown_flags_are_refused_on_demand ["DM-27"] "MAP_SHARED_VALIDATE with an unknown flag: EOPNOTSUPP; with the bits of the huge page size: success";
    Each sync_is_not_supported ["DM-28"] "MAP_SHARED_VALIDATE with MAP_SYNC: EOPNOTSUPP, whatever the descriptor allows";
    Each noreplace_is_no_known_flag ["DM-29"] "MAP_SHARED_VALIDATE with MAP_FIXED_NOREPLACE at a free address: EOPNOTSUPP";
    Each validated_is_shared ["DM-30"] "MAP_SHARED_VALIDATE with each known flag: as MAP_SHARED, `sh ms`, populated if requested";
    Each file_does_not_grow_down ["DM-40"] "MAP_GROWSDOWN of a file, shared, validated, private: EINVAL";
    Each other_types_are_refused ["DM-41"] "MAP_TYPE 0, 4 to 15, MAP_DROPPABLE among them: EINVAL";
    Rmmap not_everything_can_be_mapped ["DM-39"] "/dev/null, a pipe, a folder: ENODEV, and EACCES first";
}

/// A flag that no kernel knows.
const UNKNOWN: MapFlags = MapFlags::from_bits_retain(0x0200_0000);

/// The flag bits that hold the size of huge pages, with the sizes of x86.
const HUGE_SIZE: MapFlags = MapFlags::from_bits_retain(0x1f << 26);

/// Returns a flag by its number: `MAP_NONBLOCK`, `MAP_EXECUTABLE`, `MAP_32BIT`.
const fn flag(bits: u32) -> MapFlags {
    MapFlags::from_bits_retain(bits)
}

fn unknown_flags_do_not_matter(cx: &Context) -> Result {
    let area = cx.area(2)?;
    let plain = smap(&area.map()?)?;
    for more in [UNKNOWN, HUGE_SIZE, UNKNOWN | HUGE_SIZE] {
        let m = area.whole().flags(more).map(&area)?;
        let got = smap(&m)?;
        check_eq!(got.map.perms, "rw-s", "with {more:?}");
        check_eq!(
            got.vm_flags.to_string(),
            plain.vm_flags.to_string(),
            "with {more:?}"
        );
        check_eq!(resident(&m)?, 0);
        // A private mapping ignores them.
        check_eq!(
            smap(&area.whole().private().flags(more).map(&area)?)?
                .map
                .perms,
            "rw-p"
        );
    }
    Ok(())
}

fn unknown_flags_are_refused_on_demand(cx: &Context) -> Result {
    let area = cx.area(2)?;
    let count = area.count()?;
    let validate = area.whole().only_flags(MapFlags::SHARED_VALIDATE);
    check_err!(validate.flags(UNKNOWN).map(&area), Errno::OPNOTSUPP);
    let both = validate.flags(UNKNOWN | HUGE_SIZE | MapFlags::POPULATE);
    check_err!(both.map(&area), Errno::OPNOTSUPP);
    // The kernel checks this before the write permission of the object.
    let reader = area.reopen(OFlags::RDONLY)?;
    check_err!(validate.flags(UNKNOWN).map(&reader), Errno::OPNOTSUPP);
    check_counts!(count, mmap: 0);
    check_err!(validate.flags(flag(1 << 31)).map(&area), Errno::OPNOTSUPP);
    for bit in 26..31 {
        let m = validate.flags(flag(1 << bit)).map(&area)?;
        check_eq!(smap(&m)?.map.perms, "rw-s", "with bit {bit}");
        check_flags(&m, &["sh", "ms"], &["ht"])?;
    }
    Ok(())
}

fn sync_is_not_supported(cx: &Context) -> Result {
    let area = cx.area(2)?;
    let count = area.count()?;
    let sync = area
        .whole()
        .only_flags(MapFlags::SHARED_VALIDATE | MapFlags::SYNC);
    check_err!(sync.map(&area), Errno::OPNOTSUPP);
    check_err!(sync.read_only().map(&area), Errno::OPNOTSUPP);
    let reader = area.reopen(OFlags::RDONLY)?;
    check_err!(sync.map(&reader), Errno::OPNOTSUPP);
    check_counts!(count, mmap: 0);
    Ok(())
}

fn noreplace_is_no_known_flag(cx: &Context) -> Result {
    let area = cx.area(2)?;
    let mut window = cx.window(6)?;
    window.unmap(2 * P, 2 * P)?;
    let at = area.whole().hint(window.address_of(2 * P));
    let noreplace = MapFlags::FIXED_NOREPLACE;
    let validate = at.only_flags(MapFlags::SHARED_VALIDATE);
    check_err!(validate.flags(noreplace).map(&area), Errno::OPNOTSUPP);
    // The address and the rest of the call are valid.
    check_eq!(validate.map(&area)?.address(), window.address_of(2 * P));
    check_eq!(
        at.flags(noreplace).map(&area)?.address(),
        window.address_of(2 * P)
    );
    Ok(())
}

fn validated_is_shared(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    let validate = area.whole().only_flags(MapFlags::SHARED_VALIDATE);
    // The flags of LEGACY_MAP_MASK (include/linux/mman.h), without those that map elsewhere or
    // without a file.
    let legacy = [
        MapFlags::empty(),
        MapFlags::DENYWRITE,
        flag(0x1000),
        MapFlags::UNINITIALIZED,
        MapFlags::NORESERVE,
        MapFlags::STACK,
        flag(0x1_0000),
        match cfg!(target_arch = "x86_64") {
            true => MAP_32BIT,
            false => MapFlags::empty(),
        },
        MapFlags::LOCKED,
        MapFlags::POPULATE,
    ];
    for more in legacy {
        area.discard(0, 4)?;
        let shared = smap(&area.whole().flags(more).map(&area)?)?;
        area.discard(0, 4)?;
        let count = area.count()?;
        let m = validate.flags(more).map(&area)?;
        let got = smap(&m)?;
        check_eq!(got.map.perms, "rw-s", "with {more:?}");
        check_eq!(
            got.vm_flags.to_string(),
            shared.vm_flags.to_string(),
            "with {more:?}"
        );
        check_flags(&m, &["sh", "ms"], &[])?;
        let populated = more == MapFlags::POPULATE || more == MapFlags::LOCKED;
        let pages = if populated { 4 } else { 0 };
        check_eq!(
            (resident(&m)?, area.held_pages()?),
            (pages, pages),
            "with {more:?}"
        );
        let n = pages as u64;
        check_counts!(count, mmap: 1, fault_read: n, fault_populate: n, answer_new: n);
    }
    let m = validate.flags(MapFlags::POPULATE).map(&area)?;
    m.touch_write(1, 5)?;
    check_eq!(area.read(P, 1)?, [5], "the stored byte in the object");
    Ok(())
}

fn file_does_not_grow_down(cx: &Context) -> Result {
    let area = cx.area(2)?;
    let count = area.count()?;
    for kind in [
        MapFlags::SHARED,
        MapFlags::SHARED_VALIDATE,
        MapFlags::PRIVATE,
    ] {
        let options = area.whole().only_flags(kind | MapFlags::GROWSDOWN);
        check_err!(options.map(&area), Errno::INVAL, "{kind:?}");
        check_err!(
            options.read_only().map(&area),
            Errno::INVAL,
            "{kind:?}, read-only"
        );
    }
    check_counts!(count, mmap: 0);
    Ok(())
}

fn other_types_are_refused(cx: &Context) -> Result {
    let area = cx.area(2)?;
    let count = area.count()?;
    check_eq!(MapFlags::DROPPABLE.bits(), 8);
    for kind in [0].into_iter().chain(4..16) {
        for prot in [ProtFlags::READ | ProtFlags::WRITE, ProtFlags::empty()] {
            let options = area.whole().only_flags(flag(kind)).prot(prot);
            check_err!(options.map(&area), Errno::INVAL, "type {kind}, {prot:?}");
        }
        // The kernel checks the type before the access mode.
        let writer = area.reopen(OFlags::WRONLY)?;
        let options = area.whole().only_flags(flag(kind));
        check_err!(
            options.map(&writer),
            Errno::INVAL,
            "type {kind}, write-only"
        );
    }
    check_counts!(count, mmap: 0);
    Ok(())
}

fn not_everything_can_be_mapped(_: &Context) -> Result {
    let null = |mode| open("/dev/null", mode, Mode::empty());
    let (null_file, folder, (reader, writer)) = (
        null(OFlags::RDWR)?,
        open("/", OFlags::RDONLY, Mode::empty())?,
        pipe()?,
    );
    let read = MapOptions::new(P).read_only();
    for options in [read, read.private()] {
        check_err!(options.map(&null_file), Errno::NODEV, "/dev/null");
        check_err!(options.map(&folder), Errno::NODEV, "a folder");
        check_err!(options.map(&reader), Errno::NODEV, "a pipe");
        // The kernel reports the missing read permission first.
        check_err!(options.map(&writer), Errno::ACCESS, "a pipe's other end");
        check_err!(
            options.map(null(OFlags::WRONLY)?),
            Errno::ACCESS,
            "/dev/null, write-only"
        );
    }
    check_err!(
        MapOptions::new(P).map(&null_file),
        Errno::NODEV,
        "/dev/null, writable"
    );
    Ok(())
}
