// SPDX-License-Identifier: GPL-2.0

//! read(2), write(2), lseek, fsync: the same memory as through a mapping.

use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::resident;
use crate::{cases, check, check_counts, check_eq, check_err};
use rmmap_sys::rustix::fs::{fdatasync, fsync, seek, SeekFrom};
use rmmap_sys::rustix::io::{pread, preadv, pwritev, read, write};
use rmmap_sys::rustix::mm::{MprotectFlags, MsyncFlags};
use rmmap_sys::Errno;
use std::io::{IoSlice, IoSliceMut};

cases! {
    Each read_sees_stores [] "pread sees bytes that were stored through a mapping, across pages and at odd offsets";
    Each stores_and_writes_mix [] "a mapping sees bytes of pwrite, before and after its page was touched";
    Each read_of_hole_allocates_nothing [] "pread of a hole returns zeroes and adds no page";
    Each partial_write_zeroes_the_rest [] "a short pwrite to a hole adds one page, zero around the bytes";
    Each whole_page_write_counts_pages [] "pwrite of n pages adds n pages, once";
    Each vectors_are_read_and_written [] "preadv and pwritev with buffers of odd lengths";
    Each position_moves [] "read, write and lseek (SET, CUR, END) move one position";
    Each sync_succeeds [] "fsync, fdatasync and msync succeed and lose nothing";
    Each write_from_own_mapping [] "pwrite whose source is a mapping of the very pages that are written";
    Each read_into_own_mapping [] "pread whose target is a mapping of the very pages that are read";
    Each bad_buffers_are_efault [] "buffers that are not accessible: EFAULT, or the part before is transferred";
}

/// Returns bytes that differ from their neighbours and from page to page.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 ^ (i / P) as u8).collect()
}

fn read_sees_stores(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let m = area.map()?;
    let data = pattern(2 * P + 77);
    m.write(P - 33, &data)?;
    check!(
        area.read(P - 33, data.len())? == data,
        "pread differs from the stores"
    );
    check_eq!(area.read(0, P - 33)?.iter().filter(|b| **b != 0).count(), 0);
    check_eq!(area.read(3 * P - 40, 10)?, data[2 * P - 7..2 * P + 3]);
    Ok(())
}

fn stores_and_writes_mix(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let m = area.map()?;
    m.touch_write(1, 0xaa)?;
    let data = pattern(2 * P);
    area.write(P / 2, &data)?;
    let mut seen = vec![0; data.len()];
    m.read(P / 2, &mut seen)?;
    check!(seen == data, "the mapping differs from the write");
    m.write(P, &[1, 2, 3])?;
    check_eq!(
        area.read(P - 1, 5)?,
        [data[P / 2 - 1], 1, 2, 3, data[P / 2 + 3]]
    );
    area.write(P + 1, &[9])?;
    check_eq!(m.read_u64(P)? & 0xff_ffff, 0x0003_0901);
    Ok(())
}

fn read_of_hole_allocates_nothing(cx: &Context) -> Result {
    let area = cx.single_pages(16)?;
    area.write(5 * P + 10, &[1, 2, 3])?;
    let count = area.count()?;
    let bytes = area.read(0, 16 * P)?;
    check_eq!(bytes.iter().filter(|b| **b != 0).count(), 3);
    check_eq!(bytes[5 * P + 10..5 * P + 13], [1, 2, 3]);
    check_eq!(
        (area.held_pages()?, area.cached_pages()?),
        (1, 1),
        "pages held after reading holes"
    );
    check_counts!(count, folios: 0);
    Ok(())
}

fn partial_write_zeroes_the_rest(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    let count = area.count()?;
    area.write(P + 100, &[7; 50])?;
    check_counts!(count, folios: 1);
    check_eq!(area.held_pages()?, 1);
    let bytes = area.read(P, P)?;
    check_eq!(bytes.iter().position(|b| *b != 0), Some(100));
    check_eq!(bytes.iter().rposition(|b| *b != 0), Some(149));
    let m = area.map()?;
    check_eq!(
        (m.read_u64(P)?, m.read_u64(P + 152)?, m.read_u64(2 * P - 8)?),
        (0, 0, 0)
    );
    check_eq!(m.read_u64(P + 104)?, 0x0707_0707_0707_0707);
    Ok(())
}

fn whole_page_write_counts_pages(cx: &Context) -> Result {
    let area = cx.single_pages(40)?;
    let count = area.count()?;
    let data = pattern(33 * P);
    area.write(3 * P, &data)?;
    area.write(3 * P, &data)?;
    check_counts!(count, folios: 33);
    check_eq!((area.held_pages()?, area.cached_pages()?), (33, 33));
    check!(
        area.read(3 * P, data.len())? == data,
        "read returns other bytes"
    );
    Ok(())
}

fn vectors_are_read_and_written(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let data = pattern(2 * P + 5);
    let (a, b, c) = (&data[..3], &data[3..P + 2], &data[P + 2..]);
    let n = pwritev(
        &area,
        &[
            IoSlice::new(a),
            IoSlice::new(&[]),
            IoSlice::new(b),
            IoSlice::new(c),
        ],
        area.base() + 17,
    )?;
    check_eq!(n, data.len());
    let (mut x, mut y) = (vec![0; P - 1], vec![0; data.len() - (P - 1)]);
    let n = preadv(
        &area,
        &mut [IoSliceMut::new(&mut x), IoSliceMut::new(&mut y)],
        area.base() + 17,
    )?;
    check_eq!(n, data.len());
    check!(
        x == data[..P - 1] && y == data[P - 1..],
        "read returns other bytes"
    );
    Ok(())
}

fn position_moves(cx: &Context) -> Result {
    let area = cx.area(4)?;
    let base = area.base();
    check_eq!(seek(&area, SeekFrom::Start(base + 10))?, base + 10);
    check_eq!(write(&area, b"hello")?, 5);
    check_eq!(seek(&area, SeekFrom::Current(0))?, base + 15);
    check_eq!(seek(&area, SeekFrom::Current(-3))?, base + 12);
    let mut bytes = [0; 8];
    check_eq!(read(&area, &mut bytes)?, 8);
    check_eq!(&bytes, b"llo\0\0\0\0\0");
    check_eq!(seek(&area, SeekFrom::Current(0))?, base + 20);
    let size = match area.is_rmmap() {
        true => area.fd().info()?.size,
        false => area.len() as u64,
    };
    check_eq!(seek(&area, SeekFrom::End(0))?, size, "SEEK_END");
    check_eq!(read(&area, &mut bytes)?, 0, "read at the end");
    check_eq!(seek(&area, SeekFrom::End(-1))?, size - 1);
    check_eq!(
        read(&area, &mut bytes)?,
        1,
        "read of 8 bytes, one before the end"
    );
    check_err!(
        seek(&area, SeekFrom::Current(-(size as i64) - 1)),
        Errno::INVAL
    );
    // pread does not move the position.
    pread(&area, &mut bytes, base)?;
    check_eq!(seek(&area, SeekFrom::Current(0))?, size);
    Ok(())
}

fn sync_succeeds(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    let m = area.map()?;
    m.touch_write(1, 3)?;
    fsync(&area)?;
    fdatasync(&area)?;
    for flags in [
        MsyncFlags::SYNC,
        MsyncFlags::ASYNC,
        MsyncFlags::SYNC | MsyncFlags::INVALIDATE,
    ] {
        m.sync(0, m.len(), flags)?;
    }
    check_eq!(
        (m.touch_read(1)?, area.read(P, 1)?[0], area.held_pages()?),
        (3, 3, 1)
    );
    Ok(())
}

fn write_from_own_mapping(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let m = area.map()?;
    // The source page is a hole without a page table entry: the fault needs the page that is being
    // written.
    check_eq!(m.pwrite_from(P, P, &area, area.base() + P as u64)?, P);
    m.write(2 * P, &pattern(P))?;
    check_eq!(
        m.pwrite_from(2 * P, P, &area, area.base() + 4 * P as u64 + 9)?,
        P
    );
    check!(area.read(4 * P + 9, P)? == pattern(P), "the bytes differ");
    // Overlapping pages, which fault during the copy.
    let fresh = area.map()?;
    check_eq!(
        fresh.pwrite_from(2 * P, 3 * P, &area, area.base() + 3 * P as u64)?,
        3 * P
    );
    check!(area.read(3 * P, P)? == pattern(P), "the bytes differ");
    Ok(())
}

fn read_into_own_mapping(cx: &Context) -> Result {
    let area = cx.single_pages(8)?;
    area.write(P, &pattern(P))?;
    let m = area.map()?;
    check_eq!(m.pread_into(P, P, &area, area.base() + P as u64)?, P);
    check_eq!(m.pread_into(5 * P, P, &area, area.base() + P as u64)?, P);
    check!(area.read(5 * P, P)? == pattern(P), "the bytes differ");
    // Copies a hole into a hole.
    check_eq!(
        m.pread_into(6 * P, P, &area, area.base() + 7 * P as u64)?,
        P
    );
    check_eq!((m.touch_read(6)?, resident(&m)?), (0, 3));
    Ok(())
}

fn bad_buffers_are_efault(cx: &Context) -> Result {
    let area = cx.area(8)?;
    let buffer = rmmap_sys::MapOptions::new(2 * P)
        .private()
        .map_anonymous()?;
    buffer.write(0, &pattern(2 * P))?;
    buffer.protect(P, P, MprotectFlags::empty())?;
    let at = area.base();
    check_err!(buffer.pwrite_from(P, 100, &area, at), Errno::FAULT);
    check_eq!(buffer.pwrite_from(P - 100, 200, &area, at + 50)?, 100);
    check_eq!(
        area.read(50, 110)?[98..102],
        [pattern(P)[P - 2], pattern(P)[P - 1], 0, 0]
    );
    check_err!(buffer.pread_into(P, 100, &area, at), Errno::FAULT);
    check_eq!(buffer.pread_into(P - 100, 200, &area, at + 50)?, 100);
    // Reads into a read-only mapping.
    let read_only = area.whole().read_only().map(&area)?;
    check_err!(
        read_only.pread_into(0, 100, &area, at + P as u64),
        Errno::FAULT
    );
    Ok(())
}
