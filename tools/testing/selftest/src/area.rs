// SPDX-License-Identifier: GPL-2.0

//! Fresh memory of the object under test.

use crate::context::{P, PMD};
use crate::counting::Counting;
use crate::outcome::{Result, Stop};
use crate::{check_eq, view};
use rmmap_sys::rustix::fs::{
    fallocate, fstat, ftruncate, memfd_create, FallocateFlags, MemfdFlags,
};
use rmmap_sys::rustix::io::{pread, pwrite};
use rmmap_sys::rustix::mm::{MapFlags, ProtFlags};
use rmmap_sys::uapi::{
    RMMAP_CREATE_ALWAYS, RMMAP_CREATE_NEVER, RMMAP_POLICY_ALWAYS, RMMAP_POLICY_NEVER,
};
use rmmap_sys::{Device, MapOptions, Mapping};
use std::os::fd::{AsFd, BorrowedFd};

/// The object that an area is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A region created for this test.
    Region,
    /// A part of the device's own region, not at its beginning.
    Device,
    /// A memfd, for comparison with the kernel's own memory.
    Memfd,
}

/// The offset of areas in the device's own region: not 0, so that code that forgets the offset
/// fails, and the beginning of a huge page.
const DEVICE_BASE: u64 = (16usize << 20).next_multiple_of(PMD) as u64;

/// A range of an object that no other test uses and that has no pages when it is created.
///
/// Offsets and pages count from its start.
#[derive(Debug)]
pub struct Area {
    fd: Device,
    kind: Kind,
    base: u64,
    pages: usize,
    #[expect(dead_code, reason = "dropped for its effect")]
    pinned: Option<Pinned>,
}

/// The policy of the device, and of regions that are created without one, while a test counts.
///
/// Dropping it restores the former policy; if the test is killed, the harness does.
#[derive(Debug)]
pub struct Pinned {
    device: Device,
    former: u32,
}

impl Pinned {
    /// Makes each folio a single page.
    pub fn single_pages() -> Result<Self> {
        Self::to(RMMAP_POLICY_NEVER)
    }

    fn to(policy: u32) -> Result<Self> {
        let device = Device::open()?;
        let former = device.info()?.policy;
        device.set_policy(policy)?;
        Ok(Self { device, former })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // The harness fails a test that leaves another policy.
        let _ = self.device.set_policy(self.former);
    }
}

impl Area {
    /// Creates an area with the policy that the module was loaded with.
    pub fn new(kind: Kind, pages: usize) -> Result<Self> {
        Self::with(kind, pages, 0, None)
    }

    /// Creates an area of single pages, for a test that counts pages or faults: a touch adds one
    /// page. The device's own policy is pinned until this is dropped.
    pub fn of_single_pages(kind: Kind, pages: usize) -> Result<Self> {
        Self::pinned(kind, pages, RMMAP_CREATE_NEVER, RMMAP_POLICY_NEVER)
    }

    /// Creates an area of the largest folios that fit, for a race that must meet them.
    pub fn of_large_folios(kind: Kind, pages: usize) -> Result<Self> {
        Self::pinned(kind, pages, RMMAP_CREATE_ALWAYS, RMMAP_POLICY_ALWAYS)
    }

    fn pinned(kind: Kind, pages: usize, flags: u32, policy: u32) -> Result<Self> {
        let pin = (kind == Kind::Device).then(|| Pinned::to(policy));
        Self::with(kind, pages, flags, pin.transpose()?)
    }

    fn with(kind: Kind, pages: usize, flags: u32, pinned: Option<Pinned>) -> Result<Self> {
        let bytes = (pages * P) as u64;
        let (fd, base) = match kind {
            Kind::Region => (Device::open()?.create(bytes, flags)?, 0),
            Kind::Device => (Device::open()?, DEVICE_BASE),
            Kind::Memfd => {
                let fd = memfd_create("rmmap-selftest", MemfdFlags::CLOEXEC)?;
                ftruncate(&fd, bytes)?;
                (fd.into(), 0)
            }
        };
        let area = Self {
            fd,
            kind,
            base,
            pages,
            pinned,
        };
        if kind == Kind::Device {
            let capacity = area.fd.info()?.capacity;
            if capacity < base + bytes {
                return Err(Stop::skip(format_args!(
                    "needs a device of {} MiB, this one has {}",
                    (base + bytes) >> 20,
                    capacity >> 20
                )));
            }
            area.fd.discard(0, capacity / P as u64 * P as u64)?;
        }
        check_eq!(area.held_pages()?, 0, "memory that a fresh object holds");
        Ok(area)
    }

    /// Returns the descriptor.
    pub fn fd(&self) -> &Device {
        &self.fd
    }

    /// Returns the kind of object.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns whether it is a regular file: fstat, ftruncate, fallocate work.
    pub fn is_file(&self) -> bool {
        self.kind != Kind::Device
    }

    /// Returns whether rmmap answers its faults.
    pub fn is_rmmap(&self) -> bool {
        self.kind != Kind::Memfd
    }

    /// Returns its size in pages.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Returns its size in bytes.
    pub fn len(&self) -> usize {
        self.pages * P
    }

    /// Returns whether it has no pages.
    pub fn is_empty(&self) -> bool {
        self.pages == 0
    }

    /// Returns its offset in the object, bytes.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Opens the object again.
    pub fn reopen(&self, flags: rmmap_sys::rustix::fs::OFlags) -> rmmap_sys::Result<Device> {
        use std::os::fd::AsRawFd;
        let fd = self.fd.as_fd().as_raw_fd();
        Device::open_path(format!("/proc/self/fd/{fd}"), flags)
    }

    /// Returns options for a shared mapping of some of its pages, at an address with the alignment
    /// of the object: at other addresses it would depend on chance whether the kernel maps large
    /// folios.
    pub fn part(&self, page: usize, pages: usize) -> MapOptions {
        MapOptions::new(pages * P)
            .offset(self.base + (page * P) as u64)
            .hint(free_address(page, pages))
    }

    /// Returns options for a shared mapping of all of it.
    pub fn whole(&self) -> MapOptions {
        self.part(0, self.pages)
    }

    /// Maps all of it, shared.
    #[track_caller]
    pub fn map(&self) -> Result<Mapping> {
        Ok(self.whole().map(self)?)
    }

    /// Maps some pages of it over a part of a window.
    #[track_caller]
    pub fn map_at(&self, window: &mut Mapping, page: usize, options: MapOptions) -> Result {
        Ok(window.map_over(page * P, &options, Some(self))?)
    }

    /// Writes all of `data`.
    #[track_caller]
    pub fn write(&self, offset: usize, data: &[u8]) -> Result {
        let n = pwrite(self, data, self.base + offset as u64)?;
        crate::outcome::equal("the length that pwrite wrote", &n, &data.len())
    }

    /// Reads `len` bytes.
    #[track_caller]
    pub fn read(&self, offset: usize, len: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0xee; len];
        let n = pread(self, buffer.as_mut_slice(), self.base + offset as u64)?;
        crate::outcome::equal("the length that pread read", &n, &len)?;
        Ok(buffer)
    }

    /// Punches a hole.
    #[track_caller]
    pub fn discard(&self, page: usize, pages: usize) -> Result {
        let (offset, len) = (self.base + (page * P) as u64, (pages * P) as u64);
        if self.is_rmmap() {
            Ok(self.fd.discard(offset, len)?)
        } else {
            let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            Ok(fallocate(self, punch, offset, len)?)
        }
    }

    /// Allocates the pages of a range that are missing.
    #[track_caller]
    pub fn allocate(&self, page: usize, pages: usize) -> Result {
        let (offset, len) = (self.base + (page * P) as u64, (pages * P) as u64);
        match self.is_rmmap() {
            true => Ok(self.fd.allocate(offset, len)?),
            false => Ok(fallocate(self, FallocateFlags::KEEP_SIZE, offset, len)?),
        }
    }

    /// Returns the number of pages that the object says it holds.
    #[track_caller]
    pub fn held_pages(&self) -> Result<usize> {
        let bytes = match self.kind {
            Kind::Memfd => fstat(self)?.st_blocks as u64 * 512,
            Kind::Region | Kind::Device => self.fd.info()?.resident,
        };
        Ok(bytes as usize / P)
    }

    /// Returns the number of its pages in the page cache, as a mapping of its own shows.
    #[track_caller]
    pub fn cached_pages(&self) -> Result<usize> {
        view::cached(&self.whole().read_only().map(self)?)
    }

    /// Starts to count the module's events on this object; counts nothing on memfd.
    #[track_caller]
    pub fn count(&self) -> Result<Counting<'_>> {
        Counting::new(self.is_rmmap().then_some(&self.fd))
    }
}

/// Returns a free range of this many pages, with the alignment of page `page` to [`PMD`]; 0 where
/// there is none.
fn free_address(page: usize, pages: usize) -> usize {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    let none = MapOptions::new(pages.saturating_mul(P).saturating_add(2 * PMD))
        .prot(ProtFlags::empty())
        .only_flags(flags);
    let start = none.map_anonymous().map(|room| room.address());
    start.map_or(0, |start| start.next_multiple_of(PMD) + page * P % PMD)
}

impl AsFd for Area {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
