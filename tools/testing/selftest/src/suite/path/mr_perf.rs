// SPDX-License-Identifier: GPL-2.0

//! mmap_region() reports each mapping to perf.

use crate::area::{Area, Kind};
use crate::context::{Context, P};
use crate::outcome::{errno, Result, Stop};
use crate::{cases, check_eq, check_err};
use rmmap_sys::perf::open_mmap_events;
use rmmap_sys::rustix::mm::{MapFlags, ProtFlags};
use rmmap_sys::{Errno, MapOptions, Mapping};
use std::os::fd::OwnedFd;

cases! {
    Rmmap perf_is_told ["MR-33"] "a perf event gets a record of each new mapping, of the whole VMA after a merge, none when the hook fails";
}

/// Pages of data of the ring buffer, a power of two.
const DATA_PAGES: usize = 16;

/// Offset of `data_head` in `struct perf_event_mmap_page`.
const DATA_HEAD: usize = 1024;

/// `PERF_RECORD_MMAP2`.
const PERF_RECORD_MMAP2: u32 = 10;

/// The kernel's record of a mapping.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    address: u64,
    len: u64,
    /// Offset in the file, bytes.
    offset: u64,
    prot: u32,
    flags: u32,
    name: String,
}

/// The ring buffer of an event.
struct Ring {
    pages: Mapping,
    /// The position up to which it was read.
    tail: u64,
    _event: OwnedFd,
}

impl Ring {
    fn open() -> Result<Self> {
        let event = match open_mmap_events() {
            Err(Errno::NOSYS | Errno::NOENT) => {
                return Err(Stop::skip("this kernel has no perf events"))
            }
            Err(e @ (Errno::ACCESS | Errno::PERM)) => {
                return Err(Stop::skip(format_args!(
                    "may not use perf events ({}): run it as root",
                    errno(e)
                )))
            }
            event => event?,
        };
        Ok(Self {
            pages: MapOptions::new((1 + DATA_PAGES) * P).map(&event)?,
            tail: 0,
            _event: event,
        })
    }

    /// Returns the next `len` bytes, which may wrap around.
    fn bytes(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        for (i, byte) in bytes.iter_mut().enumerate() {
            let at = (self.tail as usize + i) % (DATA_PAGES * P);
            self.pages.read(P + at, std::slice::from_mut(byte))?;
        }
        self.tail += len as u64;
        Ok(bytes)
    }

    /// Returns the records since the last call.
    fn take(&mut self) -> Result<Vec<Record>> {
        let head = self.pages.read_u64(DATA_HEAD)?;
        let mut records = Vec::new();
        while self.tail < head {
            // type u32, misc u16, size u16.
            let header = self.bytes(8)?;
            let body = self.bytes(usize::from(u16::from_le_bytes([header[6], header[7]])) - 8)?;
            if u32_at(&header, 0) == PERF_RECORD_MMAP2 {
                records.push(record(&body));
            }
        }
        Ok(records)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
}

/// Parses `pid tid u32, addr len pgoff u64, maj min u32, ino generation u64, prot flags u32,
/// filename`.
fn record(body: &[u8]) -> Record {
    let name = body[64..].split(|byte| *byte == 0).next();
    Record {
        address: u64_at(body, 8),
        len: u64_at(body, 16),
        offset: u64_at(body, 24),
        prot: u32_at(body, 56),
        flags: u32_at(body, 60),
        name: String::from_utf8_lossy(name.unwrap_or_default()).into_owned(),
    }
}

fn perf_is_told(cx: &Context) -> Result {
    let area = Area::new(Kind::Device, 16)?;
    let mut w = cx.window(16)?;
    // The search for an address also maps, and would be recorded.
    let (first, second) = (area.part(4, 4), area.part(8, 4));
    let private = area.part(1, 2).private().read_only();
    let mut ring = Ring::open()?;
    ring.take()?;

    area.map_at(&mut w, 4, first)?;
    let new = ring.take()?;
    area.map_at(&mut w, 8, second)?;
    let merged = ring.take()?;
    area.map_at(&mut w, 1, private.flags(MapFlags::LOCKED))?;
    let other = ring.take()?;
    let beyond = MapOptions::new(P).offset(area.fd().info()?.capacity);
    let failed = beyond.map(&area);
    let none = ring.take()?;

    let read_write = (ProtFlags::READ | ProtFlags::WRITE).bits();
    let record = |page: usize, pages: usize, prot, flags: MapFlags| Record {
        address: w.address_of(page * P) as u64,
        len: (pages * P) as u64,
        offset: area.base() + (page * P) as u64,
        prot,
        flags: flags.bits(),
        name: "/dev/rmmap".to_owned(),
    };
    check_eq!(new, [record(4, 4, read_write, MapFlags::SHARED)]);
    check_eq!(merged, [record(4, 8, read_write, MapFlags::SHARED)]);
    let locked = MapFlags::PRIVATE | MapFlags::LOCKED;
    check_eq!(other, [record(1, 2, ProtFlags::READ.bits(), locked)]);
    check_err!(failed, Errno::NXIO);
    check_eq!(none, []);
    Ok(())
}
