// SPDX-License-Identifier: GPL-2.0

//! Creating regions, and the ioctls.

use crate::op::{
    bytes, check_filled, filled, op, region, Answer, Cx, Op, COPIES, FAULT, NOMEM, NONE, P,
};
use anyhow::{ensure, Result};
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::uapi::*;
use rmmap_sys::{Device, Errno};
use std::os::fd::{AsFd, AsRawFd};

/// What [`COPIES`] has, and no file: `alloc_file_pseudo()` of fs/file_table.c.
const CREATES: &[Answer] = &[
    Answer::Failed(Errno::NOMEM),
    Answer::Failed(Errno::FAULT),
    Answer::Failed(Errno::NFILE),
];

/// All operations of this file.
pub const OPS: &[Op] = &[
    op("open", COPIES, |cx| {
        let device = cx.call(Device::open)?;
        Ok(Answer::from(&device))
    }),
    op("open a region again", COPIES, |cx| {
        let region = filled(3, 0)?;
        let path = format!("/proc/self/fd/{}", region.as_fd().as_raw_fd());
        let again = cx.call(|| Device::open_path(&path, OFlags::RDWR))?;
        if let Ok(again) = &again {
            check_filled(again, 3)?;
        }
        Ok(Answer::from(&again))
    }),
    op("create", CREATES, |cx| create(cx, 0)),
    op("create, CLOEXEC and NEVER", CREATES, |cx| {
        create(cx, RMMAP_CREATE_CLOEXEC | RMMAP_CREATE_NEVER)
    }),
    op("create, ADAPTIVE and EXEC", CREATES, |cx| {
        create(cx, RMMAP_CREATE_ADAPTIVE | RMMAP_CREATE_EXEC)
    }),
    op("create, ALWAYS and NOEXEC_SEAL", CREATES, |cx| {
        create(cx, RMMAP_CREATE_ALWAYS | RMMAP_CREATE_NOEXEC_SEAL)
    }),
    op("create, NOEXEC", CREATES, |cx| {
        create(cx, RMMAP_CREATE_NOEXEC)
    }),
    op("create, ALLOW_SEALING", CREATES, |cx| {
        create(cx, RMMAP_CREATE_ALLOW_SEALING)
    }),
    op("create with a name", CREATES, |cx| {
        let device = Device::open()?;
        let created = cx.call(|| device.create_named(8 * P as u64, 0, b"name"))?;
        works(&created)
    }),
    op("INFO", FAULT, |cx| {
        let region = filled(3, 0)?;
        Ok(Answer::from(&cx.call(|| region.info())?))
    }),
    op("STATS", FAULT, |cx| {
        let region = filled(3, 0)?;
        Ok(Answer::from(&cx.call(|| region.stats())?))
    }),
    op("POLICY", FAULT, |cx| {
        let region = region(3, RMMAP_CREATE_NEVER)?;
        let done = cx.call(|| region.set_policy(RMMAP_POLICY_ALWAYS))?;
        let wanted = match done {
            Ok(()) => RMMAP_POLICY_ALWAYS,
            Err(_) => RMMAP_POLICY_NEVER,
        };
        ensure!(region.info()?.policy == wanted, "the policy changed");
        Ok(Answer::from(&done))
    }),
    op("ADD_SEALS, against growing", FAULT, |cx| {
        seal(cx, RMMAP_SEAL_GROW | RMMAP_SEAL_SHRINK)
    }),
    op("ADD_SEALS, against writing", FAULT, |cx| {
        seal(cx, RMMAP_SEAL_WRITE)
    }),
    op("GET_SEALS", FAULT, |cx| {
        let region = region(3, RMMAP_CREATE_ALLOW_SEALING)?;
        Ok(Answer::from(&cx.call(|| region.seals())?))
    }),
    op("ALLOCATE, single pages", COPIES, |cx| {
        allocate(cx, &region(40, RMMAP_CREATE_NEVER)?)
    }),
    op("ALLOCATE, large folios", COPIES, |cx| {
        allocate(cx, &region(600, RMMAP_CREATE_ALWAYS)?)
    }),
    op("ALLOCATE, where pages are missing", COPIES, |cx| {
        let region = filled(40, RMMAP_CREATE_ADAPTIVE)?;
        region.discard(3 * P as u64, 20 * P as u64)?;
        allocate(cx, &region)
    }),
    op("ALLOCATE on the device", COPIES, |cx| {
        allocate(cx, &Device::open()?)
    }),
    op("DISCARD, single pages", COPIES, |cx| {
        discard(cx, filled(40, RMMAP_CREATE_NEVER)?, 3, 20)
    }),
    op("DISCARD, a part of a large folio", COPIES, |cx| {
        let region = region(600, RMMAP_CREATE_ALWAYS)?;
        region.allocate(0, 600 * P as u64)?;
        fill(&region, 600)?;
        discard(cx, region, 70, 100)
    }),
    op("close", NONE, |cx| {
        let region = filled(40, RMMAP_CREATE_NEVER)?;
        cx.call(|| drop(region))?;
        Ok(Answer::Done)
    }),
    op("close, large folios", NONE, |cx| {
        let region = filled(600, RMMAP_CREATE_ALWAYS)?;
        cx.call(|| drop(region))?;
        Ok(Answer::Done)
    }),
    op("fdinfo", NOMEM, |cx| {
        let region = filled(3, 0)?;
        let path = format!("/proc/self/fdinfo/{}", region.as_fd().as_raw_fd());
        let file = std::fs::File::open(path)?;
        let mut text = [0; 4096];
        let read = cx.call(|| rmmap_sys::rustix::io::read(&file, &mut text[..]))?;
        Ok(match &read {
            // seq_read() copies to the program.
            Err(Errno::FAULT) => Answer::Done,
            read => Answer::from(&read.as_ref().map(drop).map_err(|e| *e)),
        })
    }),
];

fn create(cx: &Cx<'_>, flags: u32) -> Result<Answer> {
    let device = Device::open()?;
    let created = cx.call(|| device.create(8 * P as u64, flags))?;
    works(&created)
}

/// Checks that a new region works.
fn works(created: &rmmap_sys::Result<Device>) -> Result<Answer> {
    if let Ok(region) = created {
        ensure!(region.info()?.size == 8 * P as u64, "the size");
        fill(region, 8)?;
        check_filled(region, 8)?;
    }
    Ok(Answer::from(created))
}

fn fill(region: &Device, pages: usize) -> Result<()> {
    let data: Vec<u8> = (0..pages)
        .flat_map(|page| [crate::op::byte(page); P])
        .collect();
    let written = rmmap_sys::rustix::io::pwrite(region, &data, 0)?;
    ensure!(written == data.len(), "wrote {written}");
    Ok(())
}

fn seal(cx: &Cx<'_>, seals: u32) -> Result<Answer> {
    let region = filled(3, RMMAP_CREATE_ALLOW_SEALING)?;
    let done = cx.call(|| region.add_seals(seals))?;
    let wanted = if done.is_ok() { seals } else { 0 };
    ensure!(region.seals()? == wanted, "seals {:#x}", region.seals()?);
    check_filled(&region, 3)?;
    Ok(Answer::from(&done))
}

fn allocate(cx: &Cx<'_>, region: &Device) -> Result<Answer> {
    let before = region.info()?;
    let old = bytes(region)?;
    let done = cx.call(|| region.allocate(0, before.size))?;
    let wanted = match done {
        Ok(()) => before.size,
        Err(_) => before.resident,
    };
    let now = region.info()?.resident;
    ensure!(now == wanted, "{now} bytes resident, not {wanted}");
    ensure!(bytes(region)? == old, "the contents changed");
    Ok(Answer::from(&done))
}

/// Discards pages, which a failure may leave as they are.
fn discard(cx: &Cx<'_>, region: Device, first: usize, pages: usize) -> Result<Answer> {
    let old = bytes(&region)?;
    let done = cx.call(|| region.discard((first * P) as u64, (pages * P) as u64))?;
    let mut wanted = old.clone();
    wanted[first * P..(first + pages) * P].fill(0);
    let now = bytes(&region)?;
    let wrong: Vec<usize> = (0..now.len())
        .filter(|at| now[*at] != wanted[*at])
        .collect();
    ensure!(
        wrong.is_empty() || (done.is_err() && now == old),
        "{done:?}, and bytes {:?} to {:?} are wrong",
        wrong.first(),
        wrong.last()
    );
    Ok(Answer::from(&done))
}
