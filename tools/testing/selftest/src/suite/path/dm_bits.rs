// SPDX-License-Identifier: GPL-2.0

//! do_mmap(): the VM_* flags for each protection and flag, as maps and smaps show them.

use crate::context::{has_large_folios, Context, P};
use crate::mounts::Mounts;
use crate::outcome::Result;
use crate::view::{check_flags, kb, locked_kb, resident, smap};
use crate::{cases, check_eq};
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::{MapFlags, ProtFlags};
use rmmap_sys::rustix::mount::MountFlags;
use rmmap_sys::{Device, MapOptions};

cases! {
    Rmmap protection_is_what_was_asked_for ["DM-11"] "each combination of R, W, X, and unknown bits, shared and private";
    Each flags_become_vm_flags ["DM-12"] "MAP_LOCKED is `lo`, MAP_STACK `nh`; both on an object";
    Rmmap growing_memory_is_marked ["DM-12"] "anonymous MAP_GROWSDOWN is `gd`";
    Each sync_is_taken_without_validation ["DM-13"] "MAP_SYNC with MAP_SHARED or MAP_PRIVATE: no error, and `sf`, which promises nothing";
    Rmmap everything_may_be_allowed_later ["DM-14"] "PROT_NONE is still `mr mw me`, and so is every other mapping";
    Each forgotten_flags_change_nothing ["DM-14"] "MAP_DENYWRITE, MAP_EXECUTABLE and MAP_UNINITIALIZED have no effect";
}

/// Opens the device on a mount that allows execution; a region never lies on one.
fn executable() -> Result<Device> {
    Mounts::new()?.device(MountFlags::empty(), OFlags::RDWR)
}

fn protection_is_what_was_asked_for(_: &Context) -> Result {
    let device = executable()?;
    let bits = [
        (ProtFlags::READ, "r", "rd"),
        (ProtFlags::WRITE, "w", "wr"),
        (ProtFlags::EXEC, "x", "ex"),
    ];
    // A bit that no architecture knows, and PROT_SEM, which only mprotect checks.
    let unknown = ProtFlags::from_bits_retain(0x1000_0008);
    for number in 0..8 {
        let is_on = |bit: usize| (number >> bit) & 1 == 1;
        let on = (0..3).filter(|bit| is_on(*bit));
        let prot: ProtFlags = on.map(|bit| bits[bit].0).collect();
        let letters: String = (0..3)
            .map(|b| if is_on(b) { bits[b].1 } else { "-" })
            .collect();
        let (has, has_not): (Vec<_>, Vec<_>) = (0..3).partition(|bit| is_on(*bit));
        let names = |bits_on: Vec<usize>| bits_on.iter().map(|b| bits[*b].2).collect::<Vec<_>>();
        let (has, has_not) = (names(has), names(has_not));
        for prot in [prot, prot | unknown] {
            let options = MapOptions::new(P).prot(prot);
            for (options, kind) in [(options, "s"), (options.private(), "p")] {
                let m = options.map(&device)?;
                check_eq!(smap(&m)?.map.perms, format!("{letters}{kind}"), "{prot:?}");
                check_flags(&m, &has, &has_not)?;
            }
        }
    }
    Ok(())
}

fn flags_become_vm_flags(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let plain = area.map()?;
    check_flags(&plain, &[], &["lo", "nh", "gd"])?;
    let locked = area.whole().flags(MapFlags::LOCKED).map(&area)?;
    check_flags(&locked, &["lo"], &["nh", "gd"])?;
    check_eq!((resident(&locked)?, locked_kb()?), (4, kb(4)));
    drop(locked);
    // MAP_STACK excludes huge pages, on a kernel that has them.
    for options in [area.whole(), area.whole().private()] {
        let stack = options.flags(MapFlags::STACK).map(&area)?;
        match has_large_folios() {
            true => check_flags(&stack, &["nh"], &["lo", "gd"])?,
            false => check_flags(&stack, &[], &["nh", "lo", "gd"])?,
        }
    }
    Ok(())
}

fn growing_memory_is_marked(_: &Context) -> Result {
    let options = MapOptions::new(4 * P).private();
    let m = options.flags(MapFlags::GROWSDOWN).map_anonymous()?;
    check_flags(&m, &["gd"], &["lo"])?;
    let plain = options.map_anonymous()?;
    check_flags(&plain, &[], &["gd"])
}

fn sync_is_taken_without_validation(cx: &Context) -> Result {
    let area = cx.area(4)?;
    for options in [area.whole(), area.whole().private()] {
        check_flags(&options.map(&area)?, &[], &["sf"])?;
        let m = options.flags(MapFlags::SYNC).map(&area)?;
        check_flags(&m, &["sf"], &[])?;
        m.touch_write(0, 1)?;
        check_eq!(m.touch_read(0)?, 1);
    }
    Ok(())
}

fn everything_may_be_allowed_later(_: &Context) -> Result {
    let device = executable()?;
    let none = MapOptions::new(P).prot(ProtFlags::empty());
    let may = ["mr", "mw", "me"];
    for (options, perms) in [(none, "---s"), (none.private(), "---p")] {
        let m = options.map(&device)?;
        check_eq!(smap(&m)?.map.perms, perms);
        check_flags(&m, &may, &["rd", "wr", "ex"])?;
        // mprotect checks these flags.
        use rmmap_sys::rustix::mm::MprotectFlags as Prot;
        m.protect(0, P, Prot::READ | Prot::WRITE | Prot::EXEC)?;
        check_flags(&m, &["rd", "wr", "ex"], &[])?;
    }
    check_flags(&none.private().map_anonymous()?, &may, &["rd", "wr", "ex"])
}

fn forgotten_flags_change_nothing(cx: &Context) -> Result {
    let area = cx.area(4)?;
    /// `MAP_EXECUTABLE`, which rustix leaves out.
    const EXECUTABLE: MapFlags = MapFlags::from_bits_retain(0x1000);
    let flags = [MapFlags::DENYWRITE, EXECUTABLE, MapFlags::UNINITIALIZED];
    for options in [area.whole(), area.whole().private()] {
        let plain = smap(&options.map(&area)?)?;
        for more in flags.into_iter().chain([flags.into_iter().collect()]) {
            let m = options.flags(more).map(&area)?;
            let got = smap(&m)?;
            check_eq!(got.map.perms, plain.map.perms, "with {more:?}");
            check_eq!(
                got.vm_flags.to_string(),
                plain.vm_flags.to_string(),
                "with {more:?}"
            );
            check_eq!(resident(&m)?, 0);
        }
    }
    // Others can still write to the object.
    area.write(0, &[1])?;
    Ok(())
}
