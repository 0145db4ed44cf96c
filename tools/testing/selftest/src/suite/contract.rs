// SPDX-License-Identifier: GPL-2.0

//! The properties that memfd_create(2) gives a new file besides memory: name, owner, mode, and
//! whether it may be executed.

use crate::apart::in_child;
use crate::area::Kind;
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::sysctl::Sysctl;
use crate::view::{check_flags, smap};
use crate::{cases, check, check_eq, check_err};
use rmmap_procfs::process::meminfo;
use rmmap_sys::rustix::fs::{
    fchmod, fchown, fstat, memfd_create, Gid, MemfdFlags, Mode, OFlags, Uid,
};
use rmmap_sys::rustix::io::pwrite;
use rmmap_sys::rustix::mm::{Advice, MprotectFlags, ProtFlags};
use rmmap_sys::rustix::process::{set_dumpable_behavior, DumpableBehavior};
use rmmap_sys::rustix::thread::{set_thread_res_gid, set_thread_res_uid, CapabilitySet};
use rmmap_sys::uapi::{
    RmmapCreateNamed, RMMAP_CREATE_ALLOW_SEALING, RMMAP_CREATE_EXEC, RMMAP_CREATE_NOEXEC,
    RMMAP_CREATE_NOEXEC_SEAL, RMMAP_IOC_CREATE_NAMED, RMMAP_NAME_MAX, RMMAP_NAME_SIZE,
    RMMAP_SEAL_EXEC,
};
use rmmap_sys::{Device, Errno, MapOptions};
use std::fs::read_link;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use zerocopy::IntoBytes;

cases! {
    File name_is_shown [] "a name given at creation is in /proc/self/maps and in the link of the descriptor";
    File name_has_a_limit [] "a name of 249 bytes, none, and one with spaces; one of 250 bytes is EINVAL";
    Rmmap name_is_checked [] "CREATE_NAMED: a name that is not terminated, bytes after it, flags and padding as in CREATE: EINVAL";
    File mode_is_that_of_memfd [] "a new file has no link, its creator's uid and gid, and mode 0777; fchmod and fchown change them";
    File other_users_open_by_mode [] "another user opens a descriptor again as mode and owner say";
    File memory_is_executable [] "PROT_EXEC, mprotect to it, and execve of a program in the memory";
    File noexec_seal_keeps_mode [] "NOEXEC_SEAL: no execve and no mode that allows it; PROT_EXEC works";
    Rmmap noexec_forbids_exec [] "CREATE_NOEXEC: PROT_EXEC is EPERM, mprotect to it EACCES, execve EACCES";
    Rmmap memory_is_counted_as_what_it_is [] "pages of a region are unevictable and not in Committed_AS, and MADV_PAGEOUT leaves them";
    Rmmap memfd_noexec_is_respected [] "regions and memfds: vm.memfd_noexec 1: not executable unless asked for; 2: EACCES when asked for";
}

/// Creates a file with these flags of CREATE, or with the flags of memfd_create(2) that mean the
/// same.
pub fn make(cx: &Context, size: usize, flags: u32, name: &str) -> rmmap_sys::Result<Device> {
    make_as(cx.kind, size, flags, name)
}

fn make_as(kind: Kind, size: usize, flags: u32, name: &str) -> rmmap_sys::Result<Device> {
    if kind != Kind::Memfd {
        return Device::open()?.create_named(size as u64, flags, name.as_bytes());
    }
    let same = [
        (RMMAP_CREATE_ALLOW_SEALING, 2),
        (RMMAP_CREATE_NOEXEC_SEAL, 8),
        (RMMAP_CREATE_EXEC, 0x10),
    ];
    let bits = same.iter().filter(|(ours, _)| flags & ours != 0);
    let bits = bits.fold(0, |all, (_, bit)| all | bit);
    let fd = memfd_create(name, MemfdFlags::from_bits_retain(bits))?;
    rmmap_sys::rustix::fs::ftruncate(&fd, size as u64)?;
    Ok(fd.into())
}

/// Returns the seals of a region or a memfd.
pub fn seals_of(cx: &Context, fd: &Device) -> rmmap_sys::Result<u32> {
    match cx.kind {
        Kind::Memfd => Ok(rmmap_sys::rustix::fs::fcntl_get_seals(fd)?.bits()),
        _ => fd.seals(),
    }
}

fn link(fd: &Device) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

fn shown(cx: &Context, name: &str) -> String {
    match cx.kind {
        Kind::Memfd => format!("/memfd:{name} (deleted)"),
        _ => format!("/rmmap:{name} (deleted)"),
    }
}

fn name_is_shown(cx: &Context) -> Result {
    let file = make(cx, P, 0, "a name")?;
    let wanted = shown(cx, "a name");
    check_eq!(read_link(link(&file))?.to_string_lossy(), wanted);
    let m = MapOptions::new(P).map(&file)?;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let start = format!("{:x}-", m.address());
    let line = maps.lines().find(|line| line.starts_with(&start));
    let line = line.ok_or_else(|| Stop::fail("no line in maps"))?;
    check!(line.ends_with(&wanted), "{line}");
    // A region created without a name has the module's default name.
    if cx.kind != Kind::Memfd {
        let region = cx.region(1)?;
        check_eq!(
            read_link(link(&region))?.to_string_lossy(),
            "/rmmap (deleted)"
        );
    }
    Ok(())
}

fn name_has_a_limit(cx: &Context) -> Result {
    for name in ["", "x", " / \u{e9}\t", &"n".repeat(RMMAP_NAME_MAX)] {
        let file = make(cx, P, 0, name)?;
        check_eq!(read_link(link(&file))?.to_string_lossy(), shown(cx, name));
    }
    check_err!(
        make(cx, P, 0, &"n".repeat(RMMAP_NAME_MAX + 1)),
        Errno::INVAL
    );
    Ok(())
}

fn name_is_checked(cx: &Context) -> Result {
    let device = cx.device()?;
    let regions = device.info()?.regions;
    let mut bad = Vec::new();
    let with = |change: &dyn Fn(&mut RmmapCreateNamed)| {
        let mut argument = RmmapCreateNamed::default();
        argument.create.size = P as u64;
        argument.name[..3].copy_from_slice(b"abc");
        change(&mut argument);
        argument
    };
    bad.push((
        "an unterminated name",
        with(&|a| a.name = [b'x'; RMMAP_NAME_SIZE]),
    ));
    bad.push(("a byte after the name", with(&|a| a.name[4] = 1)));
    bad.push(("a last byte", with(&|a| a.name[RMMAP_NAME_SIZE - 1] = 1)));
    bad.push(("padding", with(&|a| a.create.pad = 1)));
    bad.push(("an unknown flag", with(&|a| a.create.flags = 1 << 31)));
    let two = RMMAP_CREATE_EXEC | RMMAP_CREATE_NOEXEC_SEAL;
    bad.push(("conflicting flags", with(&|a| a.create.flags = two)));
    let two = RMMAP_CREATE_NOEXEC | RMMAP_CREATE_NOEXEC_SEAL;
    bad.push(("conflicting flags", with(&|a| a.create.flags = two)));
    for (what, mut argument) in bad {
        let call = device.raw_ioctl(RMMAP_IOC_CREATE_NAMED, argument.as_mut_bytes());
        check_err!(call, Errno::INVAL, "{what}");
    }
    check_eq!(device.info()?.regions, regions);
    Ok(())
}

fn mode(fd: &Device) -> Result<u32> {
    Ok(fstat(fd)?.st_mode & 0o7777)
}

fn mode_is_that_of_memfd(cx: &Context) -> Result {
    let file = make(cx, P, RMMAP_CREATE_EXEC, "mode")?;
    let stat = fstat(&file)?;
    let me = rmmap_sys::rustix::process::geteuid().as_raw();
    check_eq!((stat.st_uid, stat.st_mode & 0o7777), (me, 0o777));
    check_eq!(stat.st_nlink, 0);
    fchmod(&file, Mode::from_raw_mode(0o4751))?;
    check_eq!(mode(&file)?, 0o4751);
    cx.needs(CapabilitySet::CHOWN, "CAP_CHOWN")?;
    let (uid, gid) = (Uid::from_raw(65534), Gid::from_raw(65533));
    fchown(&file, Some(uid), Some(gid))?;
    let stat = fstat(&file)?;
    check_eq!((stat.st_uid, stat.st_gid), (65534, 65533));
    // A write clears set-user-ID, as on every file system.
    check_eq!(stat.st_mode & 0o7777, 0o751);
    Ok(())
}

fn other_users_open_by_mode(cx: &Context) -> Result {
    cx.needs(CapabilitySet::SETUID, "CAP_SETUID")?;
    let file = make(cx, P, RMMAP_CREATE_EXEC, "open")?;
    let nobody = (Uid::from_raw(65534), Gid::from_raw(65534));
    let open = |flags| {
        in_child(|| {
            set_thread_res_gid(nobody.1, nobody.1, nobody.1)?;
            set_thread_res_uid(nobody.0, nobody.0, nobody.0)?;
            // Without this call /proc/self belongs to root.
            set_dumpable_behavior(DumpableBehavior::Dumpable)?;
            Device::open_path(link(&file), flags)?;
            Ok(())
        })
    };
    open(OFlags::RDWR)?;
    fchmod(&file, Mode::from_raw_mode(0o604))?;
    open(OFlags::RDONLY)?;
    check!(open(OFlags::RDWR).is_err(), "opened for writing with 0604");
    fchmod(&file, Mode::from_raw_mode(0o600))?;
    check!(open(OFlags::RDONLY).is_err(), "opened with 0600");
    fchown(&file, Some(nobody.0), None)?;
    open(OFlags::RDWR)
}

/// Writes a program to the file and executes it; returns whether it succeeded, or the error of
/// execve(2).
fn execute(file: &Device) -> Result<std::io::Result<bool>> {
    let program = std::fs::read("/bin/true")?;
    pwrite(file, &program, 0)?;
    let pid = std::process::id();
    let path = format!("/proc/{pid}/fd/{}", file.as_fd().as_raw_fd());
    // Where `true` is a link to a program of many, its name tells which it is.
    let status = Command::new(path).arg0("true").status();
    Ok(status.map(|status| status.success()))
}

const EXEC: ProtFlags = ProtFlags::READ.union(ProtFlags::EXEC);
const ADD_EXEC: MprotectFlags = MprotectFlags::READ.union(MprotectFlags::EXEC);

fn memory_is_executable(cx: &Context) -> Result {
    let file = make(cx, P, RMMAP_CREATE_EXEC, "exec")?;
    for options in [MapOptions::new(P), MapOptions::new(P).private()] {
        let m = options.prot(EXEC).map(&file)?;
        check_flags(&m, &["rd", "ex", "me"], &[])?;
        let m = options.map(&file)?;
        m.protect(0, P, ADD_EXEC)?;
        check_eq!(&smap(&m)?.map.perms[..3], "r-x");
    }
    check!(execute(&file)??, "the program failed");
    fchmod(&file, Mode::from_raw_mode(0o666))?;
    check!(
        execute(&file)?.is_err(),
        "a program without execute permission"
    );
    Ok(())
}

fn noexec_seal_keeps_mode(cx: &Context) -> Result {
    let file = make(cx, P, RMMAP_CREATE_NOEXEC_SEAL, "noexec")?;
    check_eq!(
        (mode(&file)?, seals_of(cx, &file)?),
        (0o666, RMMAP_SEAL_EXEC)
    );
    check_err!(fchmod(&file, Mode::from_raw_mode(0o766)), Errno::PERM);
    fchmod(&file, Mode::from_raw_mode(0o640))?;
    check_eq!(mode(&file)?, 0o640);
    MapOptions::new(P).prot(EXEC).map(&file)?;
    check!(execute(&file)?.is_err(), "a program was executed");
    Ok(())
}

fn noexec_forbids_exec(cx: &Context) -> Result {
    let file = make(cx, P, RMMAP_CREATE_NOEXEC, "noexec")?;
    check_eq!(
        (mode(&file)?, seals_of(cx, &file)?),
        (0o666, RMMAP_SEAL_EXEC)
    );
    for options in [MapOptions::new(P), MapOptions::new(P).private()] {
        check_err!(options.prot(EXEC).map(&file), Errno::PERM);
        let m = options.map(&file)?;
        check_err!(m.protect(0, P, ADD_EXEC), Errno::ACCESS);
    }
    check_err!(fchmod(&file, Mode::from_raw_mode(0o777)), Errno::PERM);
    check!(execute(&file)?.is_err(), "a program was executed");
    Ok(())
}

fn memfd_noexec_is_respected(cx: &Context) -> Result {
    cx.needs(CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN")?;
    let sysctl = Sysctl::set("vm/memfd_noexec", 1)?;
    let kinds = [Kind::Region, Kind::Memfd];
    for kind in kinds {
        check_eq!(mode(&make_as(kind, P, 0, "chosen")?)?, 0o666, "{kind:?}");
        let asked = make_as(kind, P, RMMAP_CREATE_EXEC, "asked for")?;
        check_eq!(mode(&asked)?, 0o777, "{kind:?}");
    }
    sysctl.change(2)?;
    for kind in kinds {
        let exec = make_as(kind, P, RMMAP_CREATE_EXEC, "enforced");
        check_err!(exec, Errno::ACCESS, "{kind:?}");
        check_eq!(mode(&make_as(kind, P, 0, "chosen")?)?, 0o666, "{kind:?}");
        make_as(kind, P, RMMAP_CREATE_NOEXEC_SEAL, "asked for")?;
    }
    drop(sysctl);
    for kind in kinds {
        check_eq!(mode(&make_as(kind, P, 0, "as before")?)?, 0o777, "{kind:?}");
    }
    Ok(())
}

/// Enough pages to stand out in system-wide counts: 32 MiB.
const MANY: usize = (32 << 20) / P;

/// The tolerance, kB: other processes allocate and free memory, and the kernel updates counts late.
const NOISE: u64 = 8 << 10;

/// Returns `Committed_AS` and `Unevictable`, kB.
fn counted() -> Result<[u64; 2]> {
    let meminfo = meminfo()?;
    let get = |name| {
        let value = meminfo.get(name);
        value.ok_or_else(|| Stop::fail(format_args!("/proc/meminfo has no {name}")))
    };
    Ok([get("Committed_AS")?, get("Unevictable")?])
}

fn memory_is_counted_as_what_it_is(cx: &Context) -> Result {
    let file = make(cx, MANY * P, RMMAP_CREATE_EXEC, "counted")?;
    let m = MapOptions::new(MANY * P).map(&file)?;
    let before = counted()?;
    m.advise(0, MANY * P, Advice::LinuxPopulateWrite)?;
    let after = counted()?;
    let held = (MANY * P / 1024) as u64;
    let wanted = [0, held];
    for (index, what) in ["Committed_AS", "Unevictable"].into_iter().enumerate() {
        let more = after[index] as i64 - before[index] as i64;
        let distance = more.abs_diff(wanted[index] as i64);
        check!(
            distance < NOISE,
            "{what} grew by {more} kB, not by {}",
            wanted[index]
        );
    }
    m.advise(0, MANY * P, Advice::LinuxPageOut)?;
    let held = m.mincore(0, MANY * P)?;
    check_eq!(held.iter().filter(|held| **held).count(), MANY);
    let lost = after[1] as i64 - counted()?[1] as i64;
    check!(lost < NOISE as i64, "{lost} kB became evictable");
    Ok(())
}
