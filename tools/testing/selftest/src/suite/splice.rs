// SPDX-License-Identifier: GPL-2.0

//! splice(2) and sendfile(2): copies without a buffer in the program.

use crate::context::{Context, P};
use crate::outcome::Result;
use crate::{cases, check, check_eq};
use rmmap_sys::rustix::fs::{copy_file_range, sendfile};
use rmmap_sys::rustix::io::{pread, pwrite, read, write};
use rmmap_sys::rustix::pipe::{fcntl_setpipe_size, pipe, splice, tee, SpliceFlags};
use rmmap_sys::Device;
use std::os::fd::OwnedFd;

cases! {
    Each splice_out_of_object [] "splice from the object to a pipe transfers its bytes, holes as zeroes";
    Each splice_into_object [] "splice from a pipe to the object changes its bytes and no others";
    Each spliced_bytes_keep_their_page [] "bytes that wait in a pipe survive a discard of their page";
    Rmmap copy_file_range_between_regions [] "copy_file_range copies between regions that were created through one open file";
    Each sendfile_between_objects [] "sendfile copies from one object to another";
}

/// Returns bytes that differ from their neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 253) as u8 + 1).collect()
}

/// Creates a pipe with room for `pages` pages.
fn pipe_of(pages: usize) -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe()?;
    fcntl_setpipe_size(&writer, pages * P)?;
    Ok((reader, writer))
}

/// Reads `len` bytes from a pipe.
fn drain(reader: &OwnedFd, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut have = 0;
    while have < len {
        let n = read(reader, &mut bytes[have..])?;
        check!(n > 0, "the pipe ends after {have} of {len} bytes");
        have += n;
    }
    Ok(bytes)
}

fn splice_out_of_object(cx: &Context) -> Result {
    let area = cx.area(8)?;
    area.write(100, &pattern(2 * P))?;
    let (reader, writer) = pipe_of(16)?;
    // Pages 0 to 2 hold bytes, 3 and 4 are holes.
    let mut at = area.base() + 50;
    let mut moved = 0;
    while moved < 4 * P {
        let n = splice(
            &area,
            Some(&mut at),
            &writer,
            None,
            4 * P - moved,
            SpliceFlags::empty(),
        )?;
        check!(n > 0, "splice ends after {moved} bytes");
        moved += n;
    }
    check_eq!(at, area.base() + 50 + 4 * P as u64);
    let bytes = drain(&reader, 4 * P)?;
    check!(
        bytes[..50].iter().all(|b| *b == 0),
        "bytes before the first"
    );
    check!(
        bytes[50..50 + 2 * P] == pattern(2 * P),
        "the contents differ"
    );
    check!(
        bytes[50 + 2 * P..].iter().all(|b| *b == 0),
        "bytes of the holes"
    );
    Ok(())
}

fn splice_into_object(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    let m = area.map()?;
    m.touch_write(1, 0xee)?;
    let (reader, writer) = pipe_of(16)?;
    let data = pattern(P + 300);
    check_eq!(write(&writer, &data)?, data.len());
    let mut at = area.base() + P as u64 - 100;
    let mut moved = 0;
    while moved < data.len() {
        let left = data.len() - moved;
        let n = splice(&reader, None, &area, Some(&mut at), left, SpliceFlags::MOVE)?;
        check!(n > 0, "splice ends after {moved} bytes");
        moved += n;
    }
    check!(
        area.read(P - 100, data.len())? == data,
        "the contents differ"
    );
    let mut seen = vec![0; data.len()];
    m.read(P - 100, &mut seen)?;
    check!(seen == data, "the mapping shows other bytes");
    check_eq!(
        (area.read(P - 101, 1)?[0], area.read(2 * P + 200, 1)?[0]),
        (0, 0)
    );
    check_eq!(area.held_pages()?, 3);
    Ok(())
}

fn spliced_bytes_keep_their_page(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    let data = pattern(P);
    area.write(P, &data)?;
    let (reader, writer) = pipe_of(16)?;
    let mut at = area.base() + P as u64;
    check_eq!(
        splice(&area, Some(&mut at), &writer, None, P, SpliceFlags::empty())?,
        P
    );
    let (second, second_writer) = pipe_of(16)?;
    check_eq!(tee(&reader, &second_writer, P, SpliceFlags::empty())?, P);
    area.discard(0, 4)?;
    check_eq!(area.held_pages()?, 0);
    area.write(P, &[0xcc; P])?;
    check!(drain(&reader, P)? == data, "the bytes in the pipe changed");
    check!(
        drain(&second, P)? == data,
        "the bytes in the second pipe changed"
    );
    Ok(())
}

fn copy_file_range_between_regions(_: &Context) -> Result {
    let device = Device::open()?;
    let (from, to) = (device.create(4 * P as u64, 0)?, device.create(0, 0)?);
    let bytes = pattern(2 * P);
    check_eq!(pwrite(&from, &bytes, P as u64)?, 2 * P);
    let copied = copy_file_range(&from, Some(&mut (P as u64)), &to, Some(&mut 100), 2 * P)?;
    check_eq!(copied, 2 * P);
    let mut read = vec![0; 2 * P];
    check_eq!(pread(&to, &mut read, 100)?, 2 * P);
    check!(read == bytes, "the contents differ");
    Ok(())
}

fn sendfile_between_objects(cx: &Context) -> Result {
    let (from, to) = (cx.single_pages(8)?, cx.other_single_pages(8)?);
    let data = pattern(3 * P + 11);
    from.write(9, &data)?;
    let mut at = from.base() + 9;
    rmmap_sys::rustix::fs::seek(&to, rmmap_sys::rustix::fs::SeekFrom::Start(to.base() + 77))?;
    let mut sent = 0;
    while sent < data.len() {
        let n = sendfile(&to, &from, Some(&mut at), data.len() - sent)?;
        check!(n > 0, "sendfile ends after {sent} bytes");
        sent += n;
    }
    check!(to.read(77, data.len())? == data, "the contents differ");
    check_eq!((to.held_pages()?, from.held_pages()?), (4, 4));
    Ok(())
}
