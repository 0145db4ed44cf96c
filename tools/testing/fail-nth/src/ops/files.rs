// SPDX-License-Identifier: GPL-2.0

//! Reading, writing and resizing.

use crate::op::{byte, bytes, check_filled, filled, op, region, Answer, Cx, Op, COPIES, NOMEM, P};
use anyhow::{ensure, Result};
use rmmap_sys::rustix::fs::{
    fallocate, fstat, fsync, ftruncate, memfd_create, seek, sendfile, FallocateFlags, MemfdFlags,
    SeekFrom,
};
use rmmap_sys::rustix::io::{pread, pwrite, readv, write, writev};
use rmmap_sys::rustix::pipe::{pipe, splice, SpliceFlags};
use rmmap_sys::uapi::*;
use rmmap_sys::{Device, Errno};
use std::io::{IoSlice, IoSliceMut};

/// ftruncate(2) that splits a large folio.
const SPLITS: &[Answer] = &[
    Answer::Failed(Errno::NOMEM),
    Answer::Failed(Errno::BUSY),
    Answer::Failed(Errno::AGAIN),
];

/// All operations of this file.
pub const OPS: &[Op] = &[
    op("read", COPIES, |cx| {
        let region = filled(8, 0)?;
        let mut data = vec![0xff; 4 * P];
        let read = cx.call(|| pread(&region, &mut data[..], P as u64))?;
        let len = read.unwrap_or(0);
        let right = (0..len).all(|at| data[at] == byte(1 + at / P));
        ensure!(right, "the bytes of {len}");
        Ok(Answer::from(&read))
    }),
    op("read a hole", COPIES, |cx| {
        let region = region(8, 0)?;
        let mut data = vec![0xff; 4 * P];
        let read = cx.call(|| pread(&region, &mut data[..], P as u64))?;
        let len = read.unwrap_or(0);
        ensure!(data[..len].iter().all(|b| *b == 0), "the bytes of {len}");
        Ok(Answer::from(&read))
    }),
    op("readv", COPIES, |cx| {
        let region = filled(8, 0)?;
        let mut parts = [[0u8; 100]; 12];
        let mut parts = parts.each_mut().map(|part| IoSliceMut::new(part));
        Ok(Answer::from(&cx.call(|| readv(&region, &mut parts))?))
    }),
    op("write, single pages", COPIES, |cx| {
        overwrite(cx, &region(40, RMMAP_CREATE_NEVER)?, 8)
    }),
    op("write, large folios", COPIES, |cx| {
        overwrite(cx, &region(600, RMMAP_CREATE_ALWAYS)?, 80)
    }),
    op("write, folios that fit", COPIES, |cx| {
        overwrite(cx, &region(80, RMMAP_CREATE_ADAPTIVE)?, 64)
    }),
    op("write to the device", COPIES, |cx| {
        overwrite(cx, &Device::open()?, 8)
    }),
    op("write that grows", COPIES, |cx| {
        let region = filled(2, 0)?;
        let data = vec![0xee; 4 * P];
        let written = cx.call(|| pwrite(&region, &data, 5 * P as u64))?;
        let size = match written {
            Ok(len) => 5 * P + len,
            Err(_) => 2 * P,
        };
        let found = bytes(&region)?;
        ensure!(found.len() == size, "{} bytes, not {size}", found.len());
        let wanted = |at: usize| match at / P {
            page @ 0..2 => byte(page),
            2..5 => 0,
            _ => 0xee,
        };
        ensure!((0..size).all(|at| found[at] == wanted(at)), "the contents");
        Ok(Answer::from(&written))
    }),
    op("writev", COPIES, |cx| {
        let region = region(8, 0)?;
        let parts = [[0xeeu8; 3000]; 12];
        let parts = parts.each_ref().map(|part| IoSlice::new(part));
        Ok(Answer::from(&cx.call(|| writev(&region, &parts))?))
    }),
    op("splice to a pipe", NOMEM, |cx| {
        let region = filled(8, 0)?;
        let (reader, writer) = pipe()?;
        let flags = SpliceFlags::empty();
        let moved = cx.call(|| splice(&region, None, &writer, None, 4 * P, flags))?;
        let mut data = vec![0; 4 * P];
        let len = moved.unwrap_or(0);
        let read = rmmap_sys::rustix::io::read(&reader, &mut data[..len])?;
        ensure!((0..read).all(|at| data[at] == byte(at / P)), "the contents");
        Ok(Answer::from(&moved))
    }),
    op("splice from a pipe", COPIES, |cx| {
        let region = region(8, 0)?;
        let (reader, writer) = pipe()?;
        write(&writer, &vec![0xee; 4 * P])?;
        let flags = SpliceFlags::empty();
        let moved = cx.call(|| splice(&reader, None, &region, None, 4 * P, flags))?;
        let len = moved.unwrap_or(0);
        let found = bytes(&region)?;
        ensure!(
            found[..len].iter().all(|b| *b == 0xee),
            "the first {len} bytes"
        );
        ensure!(
            found[len..].iter().all(|b| *b == 0),
            "the bytes after {len}"
        );
        Ok(Answer::from(&moved))
    }),
    op("sendfile to a memfd", COPIES, |cx| {
        let region = filled(8, 0)?;
        let memfd = memfd_create("fail-nth", MemfdFlags::empty())?;
        Ok(Answer::from(
            &cx.call(|| sendfile(&memfd, &region, None, 8 * P))?,
        ))
    }),
    op("fallocate", NOMEM, |cx| {
        grow(cx, FallocateFlags::empty(), RMMAP_CREATE_NEVER)
    }),
    op("fallocate, large folios", NOMEM, |cx| {
        grow(cx, FallocateFlags::empty(), RMMAP_CREATE_ALWAYS)
    }),
    op("fallocate, KEEP_SIZE", NOMEM, |cx| {
        grow(cx, FallocateFlags::KEEP_SIZE, RMMAP_CREATE_ADAPTIVE)
    }),
    op("fallocate, PUNCH_HOLE", NOMEM, |cx| {
        punch(cx, filled(40, RMMAP_CREATE_NEVER)?)
    }),
    op("fallocate, PUNCH_HOLE in a large folio", NOMEM, |cx| {
        let region = region(512, RMMAP_CREATE_ALWAYS)?;
        region.allocate(0, 512 * P as u64)?;
        punch(cx, region)
    }),
    op("ftruncate that grows", NOMEM, |cx| {
        let region = filled(3, 0)?;
        let done = cx.call(|| ftruncate(&region, 9 * P as u64))?;
        let wanted = if done.is_ok() { 9 } else { 3 };
        ensure!(region.info()?.size == wanted * P as u64, "the size");
        check_filled(&region, 3)?;
        Ok(Answer::from(&done))
    }),
    op("ftruncate that shrinks", NOMEM, |cx| {
        shrink(cx, filled(40, RMMAP_CREATE_NEVER)?, 40)
    }),
    op("ftruncate into a large folio", SPLITS, |cx| {
        let region = region(512, RMMAP_CREATE_ALWAYS)?;
        region.allocate(0, 512 * P as u64)?;
        let data: Vec<u8> = (0..512).flat_map(|page| [byte(page); P]).collect();
        pwrite(&region, &data, 0)?;
        shrink(cx, region, 512)
    }),
    op("lseek to data and to a hole", NOMEM, |cx| {
        let region = filled(3, 0)?;
        let found =
            cx.call(|| seek(&region, SeekFrom::Hole(0)).and(seek(&region, SeekFrom::Data(0))))?;
        Ok(Answer::from(&found))
    }),
    op("fsync", NOMEM, |cx| {
        let region = filled(3, 0)?;
        Ok(Answer::from(&cx.call(|| fsync(&region))?))
    }),
    op("fstat", COPIES, |cx| {
        let region = filled(3, 0)?;
        Ok(Answer::from(&cx.call(|| fstat(&region))?))
    }),
];

/// Writes to empty memory; what is written is there, and the rest is zero.
fn overwrite(cx: &Cx<'_>, region: &Device, pages: usize) -> Result<Answer> {
    let (start, len) = (P + 100, pages * P);
    let data = vec![0xee; len];
    let written = cx.call(|| pwrite(region, &data, start as u64))?;
    let end = start + written.unwrap_or(0);
    let found = bytes(region)?;
    let wanted = |at: usize| if (start..end).contains(&at) { 0xee } else { 0 };
    if let Some(at) = (0..found.len()).find(|at| found[*at] != wanted(*at)) {
        anyhow::bail!(
            "byte {at} is {}, of {written:?} written from {start} on",
            found[at]
        );
    }
    Ok(Answer::from(&written))
}

fn grow(cx: &Cx<'_>, mode: FallocateFlags, flags: u32) -> Result<Answer> {
    // Each of many single pages would fail once.
    let pages = if flags == RMMAP_CREATE_NEVER { 40 } else { 600 };
    let region = filled(3, flags)?;
    let before = region.info()?;
    let done = cx.call(|| fallocate(&region, mode, 0, pages * P as u64))?;
    let now = region.info()?;
    let (size, resident) = match done {
        Ok(()) if mode.is_empty() => (pages * P as u64, pages * P as u64),
        Ok(()) => (before.size, pages * P as u64),
        Err(_) => (before.size, before.resident),
    };
    ensure!(now.size == size, "size {}, not {size}", now.size);
    ensure!(
        now.resident == resident,
        "{} bytes resident, not {resident}",
        now.resident
    );
    check_filled(&region, 3)?;
    Ok(Answer::from(&done))
}

fn punch(cx: &Cx<'_>, region: Device) -> Result<Answer> {
    let old = bytes(&region)?;
    let (start, len) = (2 * P + 100, 20 * P);
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let done = cx.call(|| fallocate(&region, mode, start as u64, len as u64))?;
    let mut wanted = old.clone();
    wanted[start..start + len].fill(0);
    let now = bytes(&region)?;
    ensure!(
        now == wanted || (done.is_err() && now == old),
        "the contents"
    );
    Ok(Answer::from(&done))
}

/// Shrinks to the middle of page 20, and grows again: what was cut off is zero.
fn shrink(cx: &Cx<'_>, region: Device, pages: usize) -> Result<Answer> {
    let end = 20 * P + 100;
    let done = cx.call(|| ftruncate(&region, end as u64))?;
    if done.is_err() {
        check_filled(&region, pages)?;
        return Ok(Answer::from(&done));
    }
    ensure!(region.info()?.size == end as u64, "the size");
    ftruncate(&region, (pages * P) as u64)?;
    let found = bytes(&region)?;
    let wanted = |at: usize| if at < end { byte(at / P) } else { 0 };
    ensure!(
        (0..found.len()).all(|at| found[at] == wanted(at)),
        "the contents"
    );
    Ok(Answer::from(&done))
}
