// SPDX-License-Identifier: GPL-2.0

//! do_mmap(): execution. Mounts that forbid it, programs for which PROT_READ implies it, and
//! protection keys for execute-only memory.

use crate::context::{Context, P};
use crate::mounts::Mounts;
use crate::outcome::{Result, Stop};
use crate::view::{check_flags, smap};
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::control::take_protection_key;
use rmmap_sys::process::read_implies_exec;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rmmap_sys::rustix::mount::MountFlags;
use rmmap_sys::uapi::RMMAP_CREATE_NOEXEC;
use rmmap_sys::{Device, Errno, Fault, MapOptions, Mapping, Signal};

cases! {
    Rmmap reading_implies_executing ["DM-03"] "personality READ_IMPLIES_EXEC: PROT_READ of the device and of anonymous memory is `r-x`";
    Rmmap reading_implies_no_more_than_allowed ["DM-04"] "the same on a noexec mount, and without PROT_READ: nothing is added, no error";
    Rmmap noexec_mount_refuses_exec ["DM-37"] "PROT_EXEC of the device through a noexec mount: EPERM; through another: `ex me`";
    Rmmap noexec_mount_forbids_it_for_good ["DM-38"] "a mapping through a noexec mount is not `me`: mprotect(PROT_EXEC) is EACCES";
    Rmmap executable_only_gets_a_key ["DM-10"] "PROT_EXEC alone: `--x` with a protection key, and a load is SIGSEGV, where the processor has keys";
    Rmmap executable_only_without_a_key ["DM-10"] "PROT_EXEC alone when all keys are taken, or there are none: key 0, and a load works";
}

/// Opens the device through a mount that allows execution, and through one that does not.
fn both() -> Result<(Device, Device)> {
    let mounts = Mounts::new()?;
    let exec = mounts.device(MountFlags::empty(), OFlags::RDWR)?;
    let noexec = mounts.device(MountFlags::NOEXEC, OFlags::RDWR)?;
    Ok((exec, noexec))
}

/// Creates a region that forbids execution.
fn noexec_region(cx: &Context) -> Result<Device> {
    Ok(cx.device()?.create(P as u64, RMMAP_CREATE_NOEXEC)?)
}

fn page() -> MapOptions {
    MapOptions::new(P)
}

#[track_caller]
fn perms(m: &Mapping) -> Result<String> {
    Ok(smap(m)?.map.perms)
}

fn reading_implies_executing(_: &Context) -> Result {
    let (exec, _) = both()?;
    check_eq!(perms(&page().read_only().map(&exec)?)?, "r--s", "before");
    read_implies_exec()?;
    let shared = page().read_only().map(&exec)?;
    check_eq!(perms(&shared)?, "r-xs");
    check_flags(&shared, &["rd", "ex", "me"], &["wr"])?;
    check_eq!(perms(&page().map(&exec)?)?, "rwxs");
    check_eq!(perms(&page().private().read_only().map(&exec)?)?, "r-xp");
    check_eq!(
        perms(&page().private().read_only().map_anonymous()?)?,
        "r-xp"
    );
    check_eq!(perms(&page().private().map_anonymous()?)?, "rwxp");
    Ok(())
}

fn reading_implies_no_more_than_allowed(cx: &Context) -> Result {
    let (exec, noexec) = both()?;
    // A region can forbid it, too: then it is on another file system.
    let region = noexec_region(cx)?;
    read_implies_exec()?;
    for fd in [&noexec, &region] {
        for (options, wanted) in [(page(), "r--s"), (page().private(), "r--p")] {
            let m = options.read_only().map(fd)?;
            check_eq!(perms(&m)?, wanted);
            check_flags(&m, &["rd"], &["ex", "me"])?;
        }
    }
    let bits = [(ProtFlags::WRITE, "-w-"), (ProtFlags::empty(), "---")];
    for (prot, wanted) in bits {
        for fd in [&exec, &noexec] {
            let shared = page().prot(prot).map(fd)?;
            check_eq!(perms(&shared)?, format!("{wanted}s"));
            let private = page().private().prot(prot).map(fd)?;
            check_eq!(perms(&private)?, format!("{wanted}p"));
        }
        let anonymous = page().private().prot(prot).map_anonymous()?;
        check_eq!(perms(&anonymous)?, format!("{wanted}p"));
    }
    Ok(())
}

fn noexec_mount_refuses_exec(cx: &Context) -> Result {
    let (exec, noexec) = both()?;
    let region = noexec_region(cx)?;
    let all = ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC;
    for prot in [ProtFlags::EXEC, ProtFlags::READ | ProtFlags::EXEC, all] {
        for options in [page().prot(prot), page().private().prot(prot)] {
            check_err!(options.map(&noexec), Errno::PERM, "{prot:?}, noexec mount");
            check_err!(options.map(&region), Errno::PERM, "{prot:?}, region");
            check_flags(&options.map(&exec)?, &["ex", "me"], &[])?;
        }
        let validate = page().prot(prot).only_flags(MapFlags::SHARED_VALIDATE);
        check_err!(validate.map(&noexec), Errno::PERM, "{prot:?}");
    }
    Ok(())
}

fn noexec_mount_forbids_it_for_good(cx: &Context) -> Result {
    let (exec, noexec) = both()?;
    let region = noexec_region(cx)?;
    let add_exec = MprotectFlags::READ | MprotectFlags::EXEC;
    for options in [page().read_only(), page().private().read_only()] {
        for fd in [&noexec, &region] {
            let m = options.map(fd)?;
            check_flags(&m, &["rd", "mr", "mw"], &["ex", "me"])?;
            check_err!(m.protect(0, P, add_exec), Errno::ACCESS);
            check_flags(&m, &["rd"], &["ex", "me"])?;
        }
        let m = options.map(&exec)?;
        check_flags(&m, &["rd", "mr", "mw", "me"], &["ex"])?;
        m.protect(0, P, add_exec)?;
        check_flags(&m, &["rd", "ex", "me"], &[])?;
    }
    Ok(())
}

/// Returns whether the processor has protection keys and the kernel uses them.
fn has_keys() -> Result<bool> {
    let text = std::fs::read_to_string("/proc/cpuinfo")?;
    Ok(text.split_whitespace().any(|flag| flag == "ospke"))
}

/// Maps execute-only memory: of the device, and anonymous.
fn executable_only() -> Result<[Mapping; 3]> {
    let (exec, _) = both()?;
    let only = page().prot(ProtFlags::EXEC);
    let shared = only.map(&exec)?;
    let private = only.private().map(&exec)?;
    let anonymous = only.private().map_anonymous()?;
    for (m, wanted) in [(&shared, "--xs"), (&private, "--xp"), (&anonymous, "--xp")] {
        check_eq!(perms(m)?, wanted);
    }
    Ok([shared, private, anonymous])
}

fn executable_only_gets_a_key(_: &Context) -> Result {
    /// `si_code` of a load that a protection key forbids.
    const SEGV_PKUERR: i32 = 4;
    if !has_keys()? {
        return Err(Stop::skip("the processor has no protection keys (ospke)"));
    }
    let maps = executable_only()?;
    let key = smap(&maps[0])?.kb("ProtectionKey");
    check!(key > 0, "the protection key is {key}");
    for m in &maps {
        check_eq!(smap(m)?.kb("ProtectionKey"), key, "one key for all");
        let load = m.touch_read(0);
        let fault = load.err().map(|fault| (fault.signal, fault.code));
        check_eq!(
            fault,
            Some((Signal::Segv, SEGV_PKUERR)),
            "a load gives {load:?}"
        );
    }
    // Readable memory needs no key.
    let m = page()
        .private()
        .prot(ProtFlags::READ | ProtFlags::EXEC)
        .map_anonymous()?;
    check_eq!(smap(&m)?.kb("ProtectionKey"), 0);
    Ok(())
}

fn executable_only_without_a_key(_: &Context) -> Result {
    let mut taken = 0;
    let end = loop {
        match take_protection_key() {
            Ok(_) => taken += 1,
            Err(e) => break e,
        }
    };
    check_eq!(taken > 0, has_keys()?, "{taken} keys could be taken");
    check!(
        matches!(end, Errno::NOSPC | Errno::NOSYS),
        "the last one could not be taken for {end}"
    );
    for m in executable_only()? {
        let smap = smap(&m)?;
        check_eq!(smap.sizes.get("ProtectionKey").unwrap_or(0), 0);
        match m.touch_read(0) {
            // The page tables of x86 have no execute-only protection; those of arm64 may have.
            Err(fault) if cfg!(target_arch = "aarch64") => {
                check_eq!(
                    (fault.signal, fault.code),
                    (Signal::Segv, Fault::SEGV_ACCERR)
                );
            }
            read => check_eq!(read?, 0),
        }
    }
    Ok(())
}
