// SPDX-License-Identifier: GPL-2.0

//! lseek(2) with `SEEK_DATA` and `SEEK_HOLE`.

use crate::context::{Context, P};
use crate::outcome::Result;
use crate::{cases, check_eq, check_err};
use rmmap_sys::rustix::fs::{ftruncate, seek, tell, SeekFrom};
use rmmap_sys::Errno;

cases! {
    Each seek_tells_holes_from_data [] "SEEK_DATA and SEEK_HOLE find the pages that are present, and set the position";
    Each seek_begins_in_a_large_folio [] "SEEK_HOLE from the middle of a large folio finds the hole after it";
    File seek_ends_with_the_file [] "SEEK_HOLE finds the end of the file, within a page as well; past it ENXIO";
}

fn seek_tells_holes_from_data(cx: &Context) -> Result {
    let area = cx.single_pages(16)?;
    let base = area.base();
    for page in [2, 3, 7, 15] {
        area.write(page * P, &[1])?;
    }
    let data = |at: usize| seek(&area, SeekFrom::Data(base + at as u64)).map(|pos| pos - base);
    let hole = |at: usize| seek(&area, SeekFrom::Hole(base + at as u64)).map(|pos| pos - base);
    let at = |page: usize| (page * P) as u64;
    for (from, found) in [
        (0, 2),
        (P + 1, 2),
        (2 * P, 2),
        (3 * P, 3),
        (4 * P, 7),
        (8 * P, 15),
    ] {
        check_eq!(data(from)?, at(found), "data from {from:#x} on");
        check_eq!(tell(&area)? - base, at(found));
    }
    for (from, found) in [
        (0, 0),
        (2 * P, 4),
        (3 * P + 9, 4),
        (4 * P, 4),
        (7 * P + 1, 8),
        (15 * P, 16),
    ] {
        check_eq!(hole(from)?, at(found), "a hole from {from:#x} on");
        check_eq!(tell(&area)? - base, at(found));
    }
    // Within data or a hole, the result is the given offset.
    check_eq!(data(2 * P + 5)?, at(2) + 5);
    check_eq!(hole(5)?, 5);
    // read(2) of a hole leaves a hole, a store does not.
    area.read(10 * P, P)?;
    check_eq!(data(8 * P)?, at(15));
    area.map()?.touch_write(10, 1)?;
    check_eq!((data(8 * P)?, hole(10 * P)?), (at(10), at(11)));
    area.discard(10, 6)?;
    check_err!(data(8 * P), Errno::NXIO);
    Ok(())
}

fn seek_begins_in_a_large_folio(cx: &Context) -> Result {
    let area = cx.large_folios(64)?;
    let base = area.base();
    area.write(0, &[1; 8 * P])?;
    area.discard(8, 56)?;
    area.write(9 * P, &[1])?;
    // The folio at page 9 does not extend before page 8.
    area.discard(8, 1)?;
    for page in 0..8 {
        let found = seek(&area, SeekFrom::Hole(base + (page * P + 1) as u64))? - base;
        check_eq!(found, 8 * P as u64, "a hole from page {page} on");
    }
    Ok(())
}

fn seek_ends_with_the_file(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    area.write(0, &[1; 4 * P])?;
    ftruncate(&area, 3 * P as u64 + 100)?;
    let (data, hole) = (
        |at: u64| seek(&area, SeekFrom::Data(at)),
        |at: u64| seek(&area, SeekFrom::Hole(at)),
    );
    let size = 3 * P as u64 + 100;
    check_eq!(
        (hole(0)?, hole(size - 1)?, data(size - 1)?),
        (size, size, size - 1)
    );
    for past in [size, size + 1, 1 << 40, i64::MAX as u64] {
        check_err!(data(past), Errno::NXIO);
        check_err!(hole(past), Errno::NXIO);
    }
    check_eq!(
        tell(&area)?,
        size - 1,
        "the position after calls that failed"
    );
    let empty = cx.area(0)?;
    check_err!(seek(&empty, SeekFrom::Data(0)), Errno::NXIO);
    check_err!(seek(&empty, SeekFrom::Hole(0)), Errno::NXIO);
    Ok(())
}
