// SPDX-License-Identifier: GPL-2.0

//! do_mmap for 32-bit programs.

use crate::context::Context;
use crate::elf32::Mapper;
use crate::mounts::Mounts;
use crate::outcome::Result;
use crate::{cases, check, check_eq};
use rmmap_procfs::Process;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mount::MountFlags;

cases! {
    Rmmap old_program_executes_what_it_reads ["DM-03", "DM-04"] "a 32-bit program that says nothing of its stack: PROT_READ is `r-x`, but not of a noexec mount";
}

/// What a 32-bit program gets that maps memory and the device, and asks for PROT_READ.
fn perms(stack: Option<u32>, mount: MountFlags) -> Result<[String; 2]> {
    let mounts = Mounts::new()?;
    let device = mounts.device(mount, OFlags::RDWR)?;
    let mapper = Mapper::start(&mounts, stack, device)?;
    let process = Process::Pid(mapper.pid());
    let mut perms = [String::new(), String::new()];
    for (address, perms) in mapper.addresses.into_iter().zip(&mut perms) {
        check!(address < 1 << 32, "a 32-bit program got {address:#x}");
        let smap = process.smap_at(address)?;
        check_eq!(smap.map.range, address..address + 4096);
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
        "with a stack that is data"
    );
    // Only the old programs are meant: who names an executable stack gets that, and no more.
    check_eq!(
        perms(Some(ALL), exec)?,
        ["r--p", "r--s"],
        "with an executable stack"
    );
    Ok(())
}
