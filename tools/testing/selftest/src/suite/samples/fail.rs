// SPDX-License-Identifier: GPL-2.0

//! rust_mm_fail: every place where a driver can fail a mapping; a failure leaves nothing behind.

use super::sample::{load, map, open, own_memory, peek, vmas_of};
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::view::vma_pages;
use crate::{cases, check, check_eq, check_err, check_sigbus};
use rmmap_procfs::process::meminfo;
use rmmap_sys::rustix::io::write;
use rmmap_sys::rustix::mm::{MprotectFlags, MremapFlags};
use rmmap_sys::{Device, Errno, MapOptions, Mapping};
use std::ops::Range;
use std::os::unix::fs::FileExt;

cases! {
    With("rust_mm_fail") rust_mm_fail_in_hook [] "EIO from mmap_prepare: no VMA, Committed_AS as before, the victim of MAP_FIXED stays unmapped, the next mmap works";
    With("rust_mm_fail") rust_mm_fail_in_mapped [] "ENOSPC from mapped, after the VMA was added: unmapped again, Committed_AS as before, the victim of MAP_FIXED stays unmapped";
    With("rust_mm_fail") rust_mm_fail_in_split [] "EBUSY from may_split: munmap, mprotect, mremap and MAP_FIXED of a part fail and change nothing; the whole can be unmapped";
    With("rust_mm_fail") rust_mm_fail_in_mremap [] "EXDEV from mremap: the move is undone, the pages are where they were";
    With("rust_mm_fail") rust_mm_fail_in_mprotect [] "EPERM from mprotect: the protection stays";
    With("rust_mm_fail") rust_mm_fail_in_fault [] "SIGBUS from fault; pages that are mapped stay, and later touches work";
    With("rust_mm_fail") rust_mm_fail_in_mkwrite [] "SIGBUS from pfn_mkwrite: the page can be read and not written, until the driver allows it";
    With("rust_mm_fail") rust_mm_fail_in_access [] "a debugger gets EIO from access, the program itself does not notice";
    With("rust_mm_fail") rust_mm_fail_knows_its_words [] "another word is EINVAL, and changes nothing; each open file has its own setting";
}

const NAME: &str = "rust_mm_fail";

/// Sets where mappings of an open file fail from now on.
#[track_caller]
fn fail_at(fd: &Device, place: &str) -> Result {
    check_eq!(write(fd, place.as_bytes())?, place.len());
    Ok(())
}

/// Opens the device and maps 8 pages, of which page 3 has a page table entry.
#[track_caller]
fn mapped() -> Result<(Device, Mapping)> {
    let fd = open(NAME)?;
    let m = map(&fd, 8)?;
    m.touch_write(3, 0x33)?;
    Ok((fd, m))
}

/// Moves pages to another address.
fn move_away(cx: &Context, m: &mut Mapping, pages: Range<usize>) -> rmmap_sys::Result<Mapping> {
    // Reserve a window, so that the move replaces no other memory.
    let mut target = cx.window(pages.len()).map_err(|_| Errno::NOMEM)?;
    let part = pages.start * P..pages.end * P;
    m.move_over(part, &mut target, 0, MremapFlags::empty())?;
    Ok(target)
}

/// Checks that mmap(2) fails with this error and has no effect.
fn leaves_nothing(place: &str, error: Errno) -> Result {
    /// Much more than the rest of the system commits meanwhile.
    const BYTES: usize = 256 << 20;
    let fd = open(NAME)?;
    fail_at(&fd, place)?;
    let committed = || {
        let kb = meminfo()?.get("Committed_AS");
        kb.ok_or_else(|| Stop::fail("/proc/meminfo has no Committed_AS"))
    };
    // The test also shows that a private writable mapping is accounted.
    let before = committed()?;
    let counted = MapOptions::new(BYTES).private().map_anonymous()?;
    let grown = committed()?.abs_diff(before);
    check!(
        grown > 200 << 10,
        "256 MiB count {grown} kB in Committed_AS"
    );
    drop(counted);

    let before = committed()?;
    check_err!(MapOptions::new(BYTES).private().map(&fd), error);
    let grown = committed()?.saturating_sub(before);
    check!(grown < 100 << 10, "Committed_AS grew by {grown} kB");
    check_err!(MapOptions::new(P).map(&fd), error);
    check_eq!(vmas_of(NAME)?, [], "VMAs of mappings that failed");

    // The kernel unmaps what MAP_FIXED replaces before it calls the driver; the neighbours stay.
    let mut victim = MapOptions::new(6 * P).private().map_anonymous()?;
    (0..6).try_for_each(|page| victim.touch_write(page, 1))?;
    check_err!(
        victim.map_over(2 * P, &MapOptions::new(2 * P), Some(&fd)),
        error
    );
    check_eq!(vmas_of(NAME)?, []);
    check_eq!(
        vma_pages(&victim)?,
        [(0, 2), (4, 6)],
        "VMAs around the victim"
    );
    check_eq!((victim.touch_read(1)?, victim.touch_read(4)?), (1, 1));

    fail_at(&fd, "none")?;
    let m = map(&fd, 2)?;
    m.touch_write(1, 5)?;
    check_eq!(m.touch_read(1)?, 5);
    Ok(())
}

fn rust_mm_fail_in_hook(_: &Context) -> Result {
    leaves_nothing("hook", Errno::IO)
}

fn rust_mm_fail_in_mapped(_: &Context) -> Result {
    leaves_nothing("mapped", Errno::NOSPC)
}

fn rust_mm_fail_in_split(cx: &Context) -> Result {
    let (fd, mut m) = mapped()?;
    fail_at(&fd, "split")?;
    check_err!(m.unmap(2 * P, 2 * P), Errno::BUSY);
    check_err!(m.unmap(0, P), Errno::BUSY);
    check_err!(m.protect(2 * P, P, MprotectFlags::READ), Errno::BUSY);
    check_err!(move_away(cx, &mut m, 2..4), Errno::BUSY);
    check_eq!((vma_pages(&m)?, m.touch_read(3)?), (vec![(0, 8)], 0x33));
    check_eq!(vmas_of(NAME)?[0].perms, "rw-s");
    let address = m.address();
    check_err!(
        m.map_over(2 * P, &MapOptions::new(2 * P), Some(&fd)),
        Errno::BUSY
    );
    check_eq!(vma_pages(&m)?, [(0, 8)], "the victim of MAP_FIXED");
    check_eq!(peek(&own_memory()?, address + 3 * P, 1)?, [0x33]);

    // The `Mapping` no longer knows that it owns this part.
    let (fd, mut m) = mapped()?;
    fail_at(&fd, "split")?;
    m.unmap(0, 8 * P)?;
    check_eq!(vmas_of(NAME)?.len(), 1, "the VMA whose part was given up");
    let (fd, mut m) = mapped()?;
    fail_at(&fd, "split")?;
    check_err!(m.unmap(2 * P, P), Errno::BUSY);
    fail_at(&fd, "none")?;
    m.unmap(2 * P, P)?;
    check_eq!(
        (vma_pages(&m)?, m.touch_read(3)?),
        (vec![(0, 2), (3, 8)], 0x33)
    );
    Ok(())
}

fn rust_mm_fail_in_mremap(cx: &Context) -> Result {
    let (fd, mut m) = mapped()?;
    fail_at(&fd, "mremap")?;
    let before = vmas_of(NAME)?;
    check_err!(move_away(cx, &mut m, 0..8), Errno::XDEV);
    check_eq!(vmas_of(NAME)?, before);
    check_err!(move_away(cx, &mut m, 2..4), Errno::XDEV);
    check_eq!(
        m.touch_read(3)?,
        0x33,
        "the page that was moved there and back"
    );
    (0..8).try_for_each(|page| load(&m, page))?;
    fail_at(&fd, "none")?;
    let moved = move_away(cx, &mut m, 0..8)?;
    check!(moved.address() != before[0].range.start, "it did not move");
    check_eq!((moved.touch_read(3)?, vmas_of(NAME)?.len()), (0x33, 1));
    Ok(())
}

fn rust_mm_fail_in_mprotect(_: &Context) -> Result {
    let (fd, m) = mapped()?;
    fail_at(&fd, "mprotect")?;
    check_err!(m.protect(0, 8 * P, MprotectFlags::READ), Errno::PERM);
    check_err!(m.protect(2 * P, P, MprotectFlags::empty()), Errno::PERM);
    let vmas = vmas_of(NAME)?;
    check_eq!((vmas.len(), vmas[0].perms.as_str()), (1, "rw-s"));
    m.touch_write(2, 2)?;
    fail_at(&fd, "none")?;
    m.protect(0, 8 * P, MprotectFlags::READ)?;
    check_eq!(vmas_of(NAME)?[0].perms, "r--s");
    check_eq!(m.touch_read(3)?, 2, "each page shows the one page");
    check!(
        m.touch_write(3, 1).is_err(),
        "a store to a page made read-only"
    );
    Ok(())
}

fn rust_mm_fail_in_fault(_: &Context) -> Result {
    let (fd, m) = mapped()?;
    fail_at(&fd, "fault")?;
    check_sigbus!(m.touch_read(1), m.address_of(P));
    check_sigbus!(m.touch_write(2, 1), m.address_of(2 * P));
    check_eq!(m.touch_read(3)?, 0x33, "a page that was mapped before");
    fail_at(&fd, "none")?;
    check_eq!((m.touch_read(1)?, m.touch_read(2)?), (0x33, 0x33));
    Ok(())
}

fn rust_mm_fail_in_mkwrite(_: &Context) -> Result {
    let (fd, m) = mapped()?;
    check_eq!(m.touch_read(1)?, 0x33);
    fail_at(&fd, "mkwrite")?;
    check_sigbus!(m.touch_write(1, 9), m.address_of(P));
    check_sigbus!(m.touch_write(2, 9), m.address_of(2 * P));
    check_eq!((m.touch_read(1)?, m.touch_read(2)?), (0x33, 0x33));
    m.touch_write(3, 0x44)?;
    check_eq!(
        m.touch_read(1)?,
        0x44,
        "a store to a page that was writable"
    );
    fail_at(&fd, "none")?;
    m.touch_write(1, 9)?;
    check_eq!(m.touch_read(3)?, 9);
    Ok(())
}

fn rust_mm_fail_in_access(_: &Context) -> Result {
    let (fd, m) = mapped()?;
    let (memory, at) = (own_memory()?, m.address_of(3 * P));
    check_eq!(peek(&memory, at, 2)?, [0x33, 0]);
    fail_at(&fd, "access")?;
    let mut byte = [0];
    let io = Some(Errno::IO.raw_os_error());
    let read = memory.read_at(&mut byte, at as u64);
    check_eq!(read.err().and_then(|e| e.raw_os_error()), io);
    let written = memory.write_at(&[1], at as u64);
    check_eq!(written.err().and_then(|e| e.raw_os_error()), io);
    check_eq!(m.touch_read(3)?, 0x33);
    fail_at(&fd, "none")?;
    check_eq!(peek(&memory, at, 1)?, [0x33]);
    Ok(())
}

fn rust_mm_fail_knows_its_words(_: &Context) -> Result {
    let (fd, other) = (open(NAME)?, open(NAME)?);
    fail_at(&fd, "hook\n")?;
    check_err!(write(&fd, b"nowhere"), Errno::INVAL);
    check_err!(write(&fd, b""), Errno::INVAL);
    check_err!(
        MapOptions::new(P).map(&fd),
        Errno::IO,
        "mmap after a bad word"
    );
    map(&other, 1)?.touch_read(0)?;
    // A page frame cannot be copied on write: the library answers SIGBUS.
    let private = MapOptions::new(P).private().map(&other)?;
    check_sigbus!(private.touch_write(0, 1), private.address());
    Ok(())
}
