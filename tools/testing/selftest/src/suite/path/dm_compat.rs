// SPDX-License-Identifier: GPL-2.0

//! do_mmap() for 32-bit programs.

use crate::context::{Context, P};
use crate::counting::Counting;
use crate::elf32::Mapper;
use crate::mounts::Mounts;
use crate::outcome::{Result, Stop};
use crate::{cases, check, check_counts, check_eq, check_err, check_sigbus};
use rmmap_procfs::Process;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::rustix::mount::MountFlags;
use rmmap_sys::{compat, Device, Errno, MapOptions};
use std::os::fd::{AsFd, AsRawFd};

cases! {
    Rmmap old_program_executes_what_it_reads ["DM-03", "DM-04"] "a 32-bit program without PT_GNU_STACK: PROT_READ is `r-x`, except on a noexec mount";
    Rmmap long_mappings_of_32_bits ["DM-07", "DM-15"] "mmap2 of nearly 4 GiB: ENOMEM, also where the length rounds up to 2^32";
    Rmmap offsets_of_32_bits_do_not_wrap ["DM-08"] "mmap2 of two pages from page 2^32-1 on: mapped, the sum does not wrap";
}

/// Returns the protection that a 32-bit program gets when it maps memory and the device with
/// PROT_READ.
fn perms(stack: Option<u32>, mount: MountFlags) -> Result<[String; 2]> {
    let mounts = Mounts::new()?;
    let device = mounts.device(mount, OFlags::RDWR)?;
    let mapper = Mapper::start(&mounts, stack, device)?;
    let process = Process::Pid(mapper.pid());
    let mut perms = [String::new(), String::new()];
    for (address, perms) in mapper.addresses.into_iter().zip(&mut perms) {
        check!(address < 1 << 32, "a 32-bit program got {address:#x}");
        let smap = process.smap_at(address)?;
        check_eq!(smap.map.range, address..address + P);
        check_eq!(smap.vm_flags.has("ex"), smap.map.perms.contains('x'));
        *perms = smap.map.perms;
    }
    Ok(perms)
}

fn old_program_executes_what_it_reads(_: &Context) -> Result {
    const READ_WRITE: u32 = 6;
    const ALL: u32 = 7;
    let (exec, noexec) = (MountFlags::empty(), MountFlags::NOEXEC);
    check_eq!(perms(None, exec)?, ["r-xp", "r-xs"]);
    check_eq!(perms(None, noexec)?, ["r-xp", "r--s"]);
    check_eq!(
        perms(Some(READ_WRITE), exec)?,
        ["r--p", "r--s"],
        "with a stack that is not executable"
    );
    // This applies to old programs only: one that asks for an executable stack gets just that.
    check_eq!(
        perms(Some(ALL), exec)?,
        ["r--p", "r--s"],
        "with an executable stack"
    );
    Ok(())
}

/// Creates a region; returns its descriptor's number, too, for calls of the i386 table.
fn region(cx: &Context) -> Result<(Device, i32)> {
    if !compat::is_available()? {
        return Err(Stop::skip(
            "this kernel has no 32-bit system calls (IA32_EMULATION)",
        ));
    }
    let region = cx.region(1)?;
    let number = region.as_fd().as_raw_fd();
    Ok((region, number))
}

fn long_mappings_of_32_bits(cx: &Context) -> Result {
    let (region, number) = region(cx)?;
    let count = Counting::new(Some(&region))?;
    for len in [0xffff_ffff, 0xffff_f001, 0xffff_f000, 0xffff_e000] {
        let options = MapOptions::new(len);
        check_err!(
            compat::mmap2(&options, number),
            Errno::NOMEM,
            "{len:#x} bytes"
        );
        let anonymous = options.private().flags(MapFlags::from_bits_retain(0x20));
        check_err!(
            compat::mmap2(&anonymous, -1),
            Errno::NOMEM,
            "{len:#x} bytes"
        );
    }
    check_counts!(count, mmap: 0);
    // Half of the range is mapped, where a 64-bit program has no mapping.
    let m = compat::mmap2(&MapOptions::new(1 << 31), number)?;
    check!(
        m.address() + m.len() <= 1 << 32,
        "the mapping is at {:#x}",
        m.address()
    );
    Ok(())
}

fn offsets_of_32_bits_do_not_wrap(cx: &Context) -> Result {
    let (_region, number) = region(cx)?;
    let offset = u64::from(u32::MAX) * P as u64;
    let m = compat::mmap2(&MapOptions::new(2 * P).offset(offset), number)?;
    let map = Process::Myself.smap_at(m.address())?.map;
    check_eq!((map.offset, map.len()), (offset, 2 * P));
    check_sigbus!(m.touch_read(1), m.address_of(P));
    Ok(())
}
