// SPDX-License-Identifier: GPL-2.0

//! Seals: those of memfd by fcntl(2), those of regions by ADD_SEALS and GET_SEALS.

use super::contract::{make, seals_of};
use crate::area::Kind;
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::race::race;
use crate::view::check_flags;
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::fs::{
    fallocate, fchmod, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, FallocateFlags, Mode,
    OFlags, SealFlags,
};
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::rustix::mm::{MprotectFlags, MremapFlags};
use rmmap_sys::uapi::{
    RmmapSeals, RMMAP_CREATE_ALLOW_SEALING, RMMAP_CREATE_EXEC, RMMAP_HOOK_MMAP,
    RMMAP_IOC_ADD_SEALS, RMMAP_SEAL_EXEC, RMMAP_SEAL_FUTURE_WRITE, RMMAP_SEAL_GROW,
    RMMAP_SEAL_SEAL, RMMAP_SEAL_SHRINK, RMMAP_SEAL_WRITE,
};
use rmmap_sys::{Device, Errno, MapOptions};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

cases! {
    File seals_are_added [] "seals only accumulate; a file created without sealing, sealed with SEAL or open for reading gets none";
    File seals_keep_the_size [] "SHRINK and GROW: ftruncate, write(2) and fallocate are EPERM";
    File seal_write_keeps_the_contents [] "WRITE: write(2), hole punching and new writable mappings are EPERM, reading works";
    File seal_write_waits_for_mappings [] "WRITE is EBUSY while a shared mapping is writable or may become writable";
    File seal_write_waits_for_pins [] "WRITE is EBUSY while direct I/O or a pipe holds a page";
    File seal_future_write_lets_mappings_be [] "FUTURE_WRITE: existing mappings stay writable, nothing else is";
    Rmmap seal_future_write_and_neighbours [] "FUTURE_WRITE: mremap extends a writable mapping; a new one is EPERM, also beside it, where the core checks before it merges";
    File seal_exec_keeps_the_mode [] "EXEC: the execute bits stay, and an executable file is sealed wholly";
    File seal_write_wins_races [] "threads that map and store while WRITE is added: after that nothing changes", 60;
    Rmmap seals_are_checked [] "ADD_SEALS and GET_SEALS: padding EINVAL, the device EINVAL; fcntl(2) does not reach a region";
}

const PAGES: usize = 4;

fn file(cx: &Context) -> Result<Device> {
    let flags = RMMAP_CREATE_ALLOW_SEALING | RMMAP_CREATE_EXEC;
    Ok(make(cx, PAGES * P, flags, "seals")?)
}

fn add(cx: &Context, fd: &Device, seals: u32) -> rmmap_sys::Result<()> {
    match cx.kind {
        Kind::Memfd => fcntl_add_seals(fd, SealFlags::from_bits_retain(seals)),
        _ => fd.add_seals(seals),
    }
}

fn reopen(fd: &Device, flags: OFlags) -> rmmap_sys::Result<Device> {
    Device::open_path(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()), flags)
}

fn seals_are_added(cx: &Context) -> Result {
    let without = make(cx, P, RMMAP_CREATE_EXEC, "without")?;
    check_eq!(seals_of(cx, &without)?, RMMAP_SEAL_SEAL);
    check_err!(add(cx, &without, RMMAP_SEAL_GROW), Errno::PERM);
    let file = file(cx)?;
    check_eq!(seals_of(cx, &file)?, 0);
    for unknown in [0x40, 1 << 31, RMMAP_SEAL_GROW | 0x80] {
        check_err!(add(cx, &file, unknown), Errno::INVAL);
    }
    let reader = reopen(&file, OFlags::RDONLY)?;
    check_err!(add(cx, &reader, RMMAP_SEAL_GROW), Errno::PERM);
    add(cx, &file, RMMAP_SEAL_GROW)?;
    add(cx, &file, 0)?;
    add(cx, &reopen(&file, OFlags::RDWR)?, RMMAP_SEAL_SHRINK)?;
    let both = RMMAP_SEAL_GROW | RMMAP_SEAL_SHRINK;
    check_eq!((seals_of(cx, &file)?, seals_of(cx, &reader)?), (both, both));
    add(cx, &file, RMMAP_SEAL_SEAL)?;
    check_err!(add(cx, &file, RMMAP_SEAL_WRITE), Errno::PERM);
    check_eq!(seals_of(cx, &file)?, both | RMMAP_SEAL_SEAL);
    Ok(())
}

fn seals_keep_the_size(cx: &Context) -> Result {
    let size = (PAGES * P) as u64;
    let (grow, keep) = (FallocateFlags::empty(), FallocateFlags::KEEP_SIZE);
    let shrink = file(cx)?;
    add(cx, &shrink, RMMAP_SEAL_SHRINK)?;
    check_err!(ftruncate(&shrink, size - 1), Errno::PERM);
    check_err!(ftruncate(&shrink, 0), Errno::PERM);
    ftruncate(&shrink, size)?;
    ftruncate(&shrink, size + 1)?;
    check_err!(ftruncate(&shrink, size), Errno::PERM);
    fallocate(&shrink, grow, size, 10)?;

    let file = file(cx)?;
    add(cx, &file, RMMAP_SEAL_GROW)?;
    check_err!(ftruncate(&file, size + 1), Errno::PERM);
    for mode in [grow, keep] {
        check_err!(fallocate(&file, mode, size - 1, 2), Errno::PERM);
        fallocate(&file, mode, size - 1, 1)?;
    }
    check_err!(pwrite(&file, &[1], size), Errno::PERM);
    // Kernels differ in how much of a write they refuse at once.
    match pwrite(&file, &[1; 2], size - 1) {
        Ok(written) => check_eq!(written, 1),
        refused => check_err!(refused, Errno::PERM),
    }
    check_eq!(pwrite(&file, &[1; P], size - P as u64)?, P);
    check_eq!(fstat(&file)?.st_size as u64, size);
    ftruncate(&file, size - 1)?;
    check_err!(ftruncate(&file, size), Errno::PERM);
    Ok(())
}

fn punch(fd: &Device) -> rmmap_sys::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(fd, flags, 0, P as u64)
}

/// Checks the common effects of WRITE and FUTURE_WRITE.
fn check_no_new_writers(file: &Device) -> Result {
    let options = MapOptions::new(PAGES * P);
    check_err!(pwrite(file, &[1], 0), Errno::PERM);
    check_err!(punch(file), Errno::PERM);
    check_err!(options.map(file), Errno::PERM);
    let m = options.read_only().map(file)?;
    check_flags(&m, &["rd", "sh", "mr"], &["wr", "mw"])?;
    let write = MprotectFlags::READ | MprotectFlags::WRITE;
    check_err!(m.protect(0, P, write), Errno::ACCESS);
    check_eq!(m.touch_read(1)?, 7);
    let private = options.private().map(file)?;
    private.touch_write(1, 8)?;
    check_eq!((private.touch_read(1)?, m.touch_read(1)?), (8, 7));
    // A second mapping does not circumvent the seal.
    let window = options.read_only().map(file)?;
    check_flags(&window, &["rd"], &["wr", "mw"])?;
    Ok(())
}

fn seal_write_keeps_the_contents(cx: &Context) -> Result {
    let file = file(cx)?;
    pwrite(&file, &[7; P], P as u64)?;
    let reader = reopen(&file, OFlags::RDONLY)?;
    let _shared = MapOptions::new(P).read_only().map(&reader)?;
    let _private = MapOptions::new(P).private().map(&file)?;
    add(cx, &file, RMMAP_SEAL_WRITE)?;
    check_no_new_writers(&file)?;
    if cx.kind != Kind::Memfd {
        check_err!(file.discard(0, P as u64), Errno::PERM);
    }
    // The size may still change.
    ftruncate(&file, 2 * P as u64)?;
    ftruncate(&file, (PAGES * P) as u64)?;
    fallocate(&file, FallocateFlags::empty(), 0, (PAGES * P) as u64)?;
    check_no_new_writers(&file)
}

fn seal_write_waits_for_mappings(cx: &Context) -> Result {
    let file = file(cx)?;
    pwrite(&file, &[7; P], P as u64)?;
    for options in [MapOptions::new(P), MapOptions::new(P).read_only()] {
        let m = options.map(&file)?;
        check_err!(add(cx, &file, RMMAP_SEAL_WRITE), Errno::BUSY);
        check_eq!(seals_of(cx, &file)?, 0);
        // The refused call changed nothing.
        pwrite(&file, &[7; P], P as u64)?;
        drop(m);
    }
    add(cx, &file, RMMAP_SEAL_WRITE)?;
    check_no_new_writers(&file)
}

fn seal_write_waits_for_pins(cx: &Context) -> Result {
    let file = file(cx)?;
    pwrite(&file, &[7; PAGES * P], 0)?;
    let m = MapOptions::new(PAGES * P).map(&file)?;
    let held = m.hold_page(1)?;
    drop(m);
    check_err!(add(cx, &file, RMMAP_SEAL_WRITE), Errno::BUSY);
    check_eq!(seals_of(cx, &file)?, 0);
    drop(held);
    add(cx, &file, RMMAP_SEAL_WRITE)?;
    check_no_new_writers(&file)
}

fn seal_future_write_lets_mappings_be(cx: &Context) -> Result {
    let file = file(cx)?;
    pwrite(&file, &[7; P], P as u64)?;
    let m = MapOptions::new(PAGES * P).map(&file)?;
    add(cx, &file, RMMAP_SEAL_FUTURE_WRITE)?;
    m.touch_write(2, 3)?;
    check_no_new_writers(&file)?;
    m.touch_write(3, 3)?;
    check_err!(add(cx, &file, RMMAP_SEAL_WRITE), Errno::BUSY);
    drop(m);
    add(cx, &file, RMMAP_SEAL_WRITE)?;
    check_no_new_writers(&file)
}

fn seal_future_write_and_neighbours(cx: &Context) -> Result {
    let file = file(cx)?;
    let options = MapOptions::new(P);
    let mut window = cx.window(PAGES)?;
    window.map_over(0, &options, Some(&file))?;
    add(cx, &file, RMMAP_SEAL_FUTURE_WRITE)?;
    // A mapping apart from the first has nothing to merge with.
    let far = options.offset(3 * P as u64);
    check_err!(window.map_over(3 * P, &far, Some(&file)), Errno::PERM);
    let beside = window.map_over(P, &options.offset(P as u64), Some(&file));
    // do_mmap() always calls memfd_check_seals_mmap(); the core calls an `mmap` hook only for
    // mappings that do not merge.
    match cx.info {
        Some(info) if info.hook == RMMAP_HOOK_MMAP => beside?,
        _ => check_err!(beside, Errno::PERM),
    }
    let mut moved = window.move_part(0..P, 2 * P, false)?;
    moved.touch_write(1, 5)?;
    moved.resize(3 * P, MremapFlags::MAYMOVE)?;
    moved.touch_write(2, 6)?;
    let mut bytes = [0; 1];
    for (page, byte) in [(1, 5), (2, 6)] {
        pread(&file, &mut bytes, (page * P) as u64)?;
        check_eq!(bytes, [byte], "page {page}");
    }
    Ok(())
}

fn seal_exec_keeps_the_mode(cx: &Context) -> Result {
    let file = file(cx)?;
    fchmod(&file, Mode::from_raw_mode(0o600))?;
    add(cx, &file, RMMAP_SEAL_EXEC)?;
    check_eq!(seals_of(cx, &file)?, RMMAP_SEAL_EXEC);
    for mode in [0o700, 0o601, 0o777] {
        check_err!(fchmod(&file, Mode::from_raw_mode(mode)), Errno::PERM);
    }
    fchmod(&file, Mode::from_raw_mode(0o666))?;
    let executable = self::file(cx)?;
    pwrite(&executable, &[7; P], P as u64)?;
    add(cx, &executable, RMMAP_SEAL_EXEC)?;
    check_eq!(
        seals_of(cx, &executable)?,
        RMMAP_SEAL_EXEC
            | RMMAP_SEAL_SHRINK
            | RMMAP_SEAL_GROW
            | RMMAP_SEAL_WRITE
            | RMMAP_SEAL_FUTURE_WRITE
    );
    check_err!(fchmod(&executable, Mode::from_raw_mode(0o600)), Errno::PERM);
    check_no_new_writers(&executable)
}

/// The maximum number of checks of a sealed page.
const LOOKS: usize = 2000;

fn seal_write_wins_races(cx: &Context) -> Result {
    let files = (0..64).map(|_| file(cx)).collect::<Result<Vec<_>>>()?;
    let now = AtomicUsize::new(0);
    let (stored, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = |_: usize, stop: &AtomicBool| -> Result {
        let mut value = 1;
        while !stop.load(Ordering::Relaxed) {
            let file = &files[now.load(Ordering::Relaxed)];
            let begun = Instant::now();
            match MapOptions::new(PAGES * P).map(file) {
                Ok(m) => {
                    value = u8::wrapping_add(value, 1);
                    m.touch_write(1, value)?;
                    stored.fetch_add(1, Ordering::Relaxed);
                }
                Err(Errno::PERM) => {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
                Err(e) => return Err(e.into()),
            }
            // The pause is longer than mmap(2) takes on this kernel: without it some mapping would
            // always exist, and sealing would always fail.
            std::thread::sleep(4 * begun.elapsed() + Duration::from_micros(300));
        }
        Ok(())
    };
    let mut before = 0;
    let change = || -> Result {
        // Seals each file once, after another thread has stored to it.
        let (at, stores) = (now.load(Ordering::Relaxed), stored.load(Ordering::Relaxed));
        if stores == before || at == files.len() - 1 {
            std::thread::yield_now();
            return Ok(());
        }
        let file = &files[at];
        match add(cx, file, RMMAP_SEAL_WRITE) {
            Err(Errno::BUSY) => return Ok(()),
            other => other?,
        }
        let look = || MapOptions::new(PAGES * P).read_only().map(file);
        let sealed = look()?.touch_read(1)?;
        // Wait until another thread has also tried to map it.
        let refusals = refused.load(Ordering::Relaxed);
        for _ in 0..LOOKS {
            std::thread::yield_now();
            check_eq!(look()?.touch_read(1)?, sealed, "a sealed page");
            if refused.load(Ordering::Relaxed) > refusals {
                break;
            }
        }
        check_err!(MapOptions::new(P).map(file), Errno::PERM);
        before = stored.load(Ordering::Relaxed);
        now.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let enough = || {
        now.load(Ordering::Relaxed) >= 8
            && stored.load(Ordering::Relaxed) > 0
            && refused.load(Ordering::Relaxed) > 0
    };
    race(cx, 2, work, change, enough)
}

fn seals_are_checked(cx: &Context) -> Result {
    let file = file(cx)?;
    for bit in 0..32 {
        let mut argument = RmmapSeals {
            seals: RMMAP_SEAL_GROW,
            pad: 1 << bit,
        };
        let call = file.raw_ioctl(RMMAP_IOC_ADD_SEALS, argument.as_mut_bytes());
        check_err!(call, Errno::INVAL);
    }
    check_eq!(file.seals()?, 0);
    let device = cx.device()?;
    check_err!(device.add_seals(RMMAP_SEAL_GROW), Errno::INVAL);
    check_err!(device.seals(), Errno::INVAL);
    for fd in [&device, &file] {
        check_err!(fcntl_add_seals(fd, SealFlags::GROW), Errno::INVAL);
        check_err!(fcntl_get_seals(fd), Errno::INVAL);
    }
    check!(ftruncate(&file, 0).is_ok());
    Ok(())
}
