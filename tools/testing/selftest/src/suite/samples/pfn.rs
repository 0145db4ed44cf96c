// SPDX-License-Identifier: GPL-2.0

//! rust_mm_pfn: page frames (`VM_PFNMAP`), with `access` for debuggers.

use super::core_dump::dump;
use super::sample::{faults_of, load, map, open, own_memory, peek, vmas_of, with_each_hook};
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{check_flags, locked_kb, smap, vma_pages};
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::mm::{Advice, MapFlags, MremapFlags};
use rmmap_sys::{fork, Channel, Errno, MapOptions, Mapping, Tracee};
use std::os::unix::fs::FileExt;

cases! {
    With("rust_mm_pfn") rust_mm_pfn_shows_its_frames [] "with mmap_prepare all is mapped at once, with mmap each frame by a fault; stores are seen by every mapping";
    With("rust_mm_pfn") rust_mm_pfn_refuses_what_it_cannot_map [] "private mappings are EINVAL, mappings beyond the block ENXIO, with either hook";
    With("rust_mm_pfn") rust_mm_pfn_maps_from_an_offset [] "a mapping from the third frame on shows the third frame, with either hook";
    With("rust_mm_pfn") rust_mm_pfn_is_accessible_to_debuggers [] "/proc/PID/mem and ptrace(2) read and write through access, across frames and up to the end of the VMA";
    With("rust_mm_pfn") rust_mm_pfn_is_special [] "VmFlags pf io de dd, no Rss, no merging, mlock and MADV_POPULATE without the pages, no growing, no core dump";
}

const NAME: &str = "rust_mm_pfn";

/// Frames of the device.
const FRAMES: usize = 4;

/// Returns the bytes that the driver wrote to the beginning of a frame.
fn mark(frame: usize) -> [u8; 2] {
    [b'f', b'0' + frame as u8]
}

fn rust_mm_pfn_shows_its_frames(cx: &Context) -> Result {
    with_each_hook(cx, NAME, |_, prepare| {
        let fd = open(NAME)?;
        let m = map(&fd, FRAMES)?;
        let want = if prepare { 0 } else { FRAMES as u64 };
        check_eq!(faults_of(&m, load)?, want, "faults of the first loads");
        for frame in 0..FRAMES {
            let mut bytes = [0; 2];
            m.read(frame * P, &mut bytes)?;
            check_eq!(bytes, mark(frame));
        }
        let other = map(&open(NAME)?, FRAMES)?;
        m.touch_write(1, 0x11)?;
        check_eq!(other.touch_read(1)?, 0x11);
        // A program cannot remove frames.
        check_err!(m.advise(0, P, Advice::LinuxDontNeed), Errno::INVAL);
        check_eq!(m.touch_read(1)?, 0x11);
        Ok(())
    })
}

fn rust_mm_pfn_refuses_what_it_cannot_map(cx: &Context) -> Result {
    with_each_hook(cx, NAME, |_, _| {
        let fd = open(NAME)?;
        let at = |frame: usize, n: usize| MapOptions::new(n * P).offset((frame * P) as u64);
        check_err!(at(0, FRAMES).private().map(&fd), Errno::INVAL);
        check_err!(at(0, 1).private().read_only().map(&fd), Errno::INVAL);
        check_err!(at(0, FRAMES + 1).map(&fd), Errno::NXIO);
        check_err!(at(1, FRAMES).map(&fd), Errno::NXIO);
        check_err!(at(FRAMES, 1).map(&fd), Errno::NXIO);
        check_eq!(vmas_of(NAME)?, []);
        Ok(())
    })
}

fn rust_mm_pfn_maps_from_an_offset(cx: &Context) -> Result {
    with_each_hook(cx, NAME, |_, _| {
        let m = MapOptions::new(2 * P)
            .offset(2 * P as u64)
            .map(open(NAME)?)?;
        let mut bytes = [0; 2];
        m.read(0, &mut bytes)?;
        check_eq!(bytes, mark(2));
        // `access` computes offsets itself.
        check_eq!(peek(&own_memory()?, m.address_of(P), 2)?, mark(3));
        Ok(())
    })
}

/// Waits, in a child, until the parent closes the channel.
fn wait(channel: &Channel) -> i32 {
    // An error means that the parent has closed the channel.
    let _ = channel.receive();
    0
}

fn rust_mm_pfn_is_accessible_to_debuggers(_: &Context) -> Result {
    let fd = open(NAME)?;
    let m = map(&fd, FRAMES)?;
    let memory = own_memory()?;
    check_eq!(peek(&memory, m.address(), 2)?, mark(0));
    let across = peek(&memory, m.address_of(P - 1), 3)?;
    check_eq!(across, [0, b'f', b'1'], "bytes across two frames");
    memory.write_all_at(b"zz", m.address_of(2 * P) as u64)?;
    check_eq!(m.touch_read(2)?, b'z');
    // The core requests the rest of the buffer; the library limits the length to the VMA.
    let alone = MapOptions::new(P).offset(3 * P as u64).map(&fd)?;
    let tail = peek(&memory, alone.address_of(P - 8), 8)?;
    check_eq!(tail, [0; 8], "the last bytes of the block");

    let child = fork(wait)?;
    let tracee = Tracee::attach(&child)?;
    check_eq!(
        tracee.peek(m.address_of(3 * P))? & 0xffff,
        0x3366,
        "PTRACE_PEEKDATA"
    );
    tracee.poke((&m, P + 8), 0x1122_3344_5566_7788)?;
    check_eq!(
        m.read_u64(P + 8)?,
        0x1122_3344_5566_7788,
        "the word of PTRACE_POKEDATA"
    );
    Ok(())
}

fn rust_mm_pfn_is_special(cx: &Context) -> Result {
    with_each_hook(cx, NAME, |cx, prepare| {
        let fd = open(NAME)?;
        let mut m = cx.window(FRAMES + 2)?;
        let half = |frame: usize| MapOptions::new(2 * P).offset((frame * P) as u64);
        let populate = half(0).flags(MapFlags::POPULATE);
        m.map_over(0, &populate, Some(&fd))?;
        m.map_over(2 * P, &half(2), Some(&fd))?;
        check_eq!(vma_pages(&m)?, [(0, 2), (2, 4)], "two mappings in a row");
        check_flags(&m, &["pf", "io", "de", "dd", "sh"], &["mm", "lo"])?;
        m.lock(0, 2 * P)?;
        check_eq!(locked_kb()?, 0);
        check_flags(&m, &[], &["lo"])?;
        check_err!(m.advise(0, P, Advice::LinuxPopulateRead), Errno::INVAL);
        let of_part = |m: &Mapping, page: usize| if page < FRAMES { load(m, page) } else { Ok(()) };
        let want = if prepare { 0 } else { FRAMES as u64 };
        check_eq!(faults_of(&m, of_part)?, want, "faults after MAP_POPULATE");
        check_eq!(smap(&m)?.kb("Rss"), 0);
        check_eq!(dump(cx, 0xff)?.bytes_of(m.address())?.len(), 0);

        let mut target = cx.window(2)?;
        m.move_over(0..2 * P, &mut target, 0, MremapFlags::empty())?;
        let mut moved = target;
        check_eq!(moved.touch_read(1)?, b'f', "a page after mremap moved it");
        check_err!(moved.resize(3 * P, MremapFlags::MAYMOVE), Errno::FAULT);
        check!(vma_pages(&moved)? == [(0, 2)], "the VMA changed its length");
        Ok(())
    })
}
