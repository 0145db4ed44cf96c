// SPDX-License-Identifier: GPL-2.0

//! write(2) does not zero the bytes that it covers, so it must zero the rest of a new folio, also
//! when the source ends early.
//!
//! The lab boots with `init_on_alloc=0`, and these tests get memory that was dirty a moment ago: an
//! uninitialised byte shows.

use crate::area::Area;
use crate::context::{Context, P, PMD};
use crate::outcome::Result;
use crate::{cases, check, check_eq};
use rmmap_sys::rustix::fs::{fstat, ftruncate};
use rmmap_sys::rustix::mm::MprotectFlags;
use rmmap_sys::{MapOptions, Mapping};

cases! {
    Each writes_leave_no_stale_bytes [] "pwrite of whole and partial pages and folios, also cut short by its source: zeroes around the bytes", 60;
    File appends_leave_no_stale_bytes [] "the same past EOF: zeroes before the bytes, and after them in the last page", 60;
}

/// Size of each area, bytes.
const SIZE: usize = PMD + 16 * P;

/// The contents of memory before it is freed.
const DIRT: u8 = 0xee;

/// A write: its offset, its length, and the offset at which the source ends.
const WRITES: &[(usize, usize, usize)] = &[
    (0, P, P),
    (100, 50, 50),
    (P - 1, 2, 2),
    (3 * P + 9, 2 * P, P + 1),
    (0, PMD, PMD),
    (0, PMD, 1),
    (0, PMD, PMD / 2 + 100),
    (P + 7, PMD, 3 * P + 1),
    (PMD - P - 5, P + 10, P + 10),
    (PMD - 9, 2 * P, 10),
    (PMD / 2, PMD / 2 + 4 * P, PMD / 2 + P + 3),
    (7, SIZE - 7, SIZE - 7),
];

/// Kinds of area: the module's policy, single pages, the largest folios.
const MAKE: &[fn(&Context) -> Result<Area>] = &[
    |cx| cx.area(SIZE / P),
    |cx| cx.single_pages(SIZE / P),
    |cx| cx.large_folios(SIZE / P),
];

/// A source of writes: memory whose first half is readable, its contents, which are not zero, and
/// bytes to dirty memory with.
struct Source {
    memory: Mapping,
    bytes: Vec<u8>,
    dirt: Vec<u8>,
}

impl Source {
    fn new() -> Result<Self> {
        let memory = MapOptions::new(2 * SIZE).private().map_anonymous()?;
        let bytes: Vec<u8> = (0..SIZE).map(|n| (n % 199) as u8 + 1).collect();
        memory.write(0, &bytes)?;
        memory.protect(SIZE, SIZE, MprotectFlags::empty())?;
        let dirt = vec![DIRT; SIZE];
        Ok(Self {
            memory,
            bytes,
            dirt,
        })
    }
}

/// Returns an area in memory that was just dirty.
fn area_of_dirt(cx: &Context, dirt: &[u8], make: fn(&Context) -> Result<Area>) -> Result<Area> {
    let dirty = make(cx)?;
    dirty.write(0, dirt)?;
    drop(dirty);
    make(cx)
}

/// Writes to an area; returns the contents that it must have if all else is zero.
fn write(area: &Area, source: &Source, write: (usize, usize, usize)) -> Result<Vec<u8>> {
    let (at, asked, good) = write;
    let (start, to) = (SIZE - good, area.base() + at as u64);
    let written = source.memory.pwrite_from(start, asked, area, to)?;
    check_eq!(written, good, "length of {write:?}");
    let mut expected = vec![0; SIZE];
    expected[at..at + good].copy_from_slice(&source.bytes[start..]);
    Ok(expected)
}

/// Checks that the bytes are these.
#[track_caller]
fn check_bytes(found: &[u8], expected: &[u8], write: (usize, usize, usize)) -> Result {
    check_eq!(found.len(), expected.len());
    if found != expected {
        let mut both = found.iter().zip(expected);
        let at = both.position(|(found, expected)| found != expected);
        let at = at.unwrap_or_default();
        check!(
            false,
            "byte {at} after {write:?} is {:#x}, not {:#x}",
            found[at],
            expected[at]
        );
    }
    Ok(())
}

fn writes_leave_no_stale_bytes(cx: &Context) -> Result {
    let source = Source::new()?;
    for make in MAKE {
        for wanted in WRITES {
            let area = area_of_dirt(cx, &source.dirt, *make)?;
            let expected = write(&area, &source, *wanted)?;
            check_bytes(&area.read(0, SIZE)?, &expected, *wanted)?;
        }
    }
    Ok(())
}

fn appends_leave_no_stale_bytes(cx: &Context) -> Result {
    let source = Source::new()?;
    for make in MAKE {
        for wanted in WRITES {
            let area = area_of_dirt(cx, &source.dirt, *make)?;
            ftruncate(&area, 0)?;
            let expected = write(&area, &source, *wanted)?;
            let end = wanted.0 + wanted.2;
            check_eq!(fstat(&area)?.st_size as usize, end);
            // A mapping also shows the rest of the last page.
            let mut found = area.read(0, end)?;
            let mut last = [0xff; P];
            let page = (end - 1) / P;
            area.part(page, 1).map(&area)?.read(0, &mut last)?;
            found.truncate(page * P);
            found.extend(last);
            check_bytes(&found, &expected[..found.len()], *wanted)?;
        }
    }
    Ok(())
}
