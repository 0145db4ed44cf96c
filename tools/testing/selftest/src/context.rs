// SPDX-License-Identifier: GPL-2.0

//! The context of a test.

use crate::area::{Area, Kind};
use crate::loader::Loader;
use crate::outcome::{Result, Stop};
use rmmap_sys::process::has_capability;
use rmmap_sys::rustix::mm::{MapFlags, ProtFlags};
use rmmap_sys::rustix::thread::CapabilitySet;
use rmmap_sys::uapi::{RmmapInfo, RMMAP_CREATE_NEVER};
use rmmap_sys::{Device, MapOptions, Mapping, PAGE_SIZE};
use std::path::Path;

pub use rmmap_sys::PMD_ORDER;

/// Size of a page.
pub const P: usize = PAGE_SIZE;

/// The span of a page table of the lowest level: fault-around and huge pages end there.
pub const PMD: usize = P << PMD_ORDER;

/// The pages that the core maps around one that is read: 64 KiB (`fault_around_bytes` of
/// `mm/memory.c`).
pub const AROUND: usize = (64 << 10) / P;

/// Returns whether folios of the page cache may have more than one page.
///
/// Without CONFIG_TRANSPARENT_HUGEPAGE, `mapping_set_folio_order_range()` in
/// include/linux/pagemap.h does nothing, and this folder does not exist (mm/huge_memory.c).
pub fn has_large_folios() -> bool {
    Path::new("/sys/kernel/mm/transparent_hugepage").exists()
}

/// Skips a test that is about large folios if the kernel has none.
pub fn needs_large_folios() -> Result {
    match has_large_folios() {
        true => Ok(()),
        false => Err(Stop::skip("this kernel has no transparent huge pages")),
    }
}

/// The context of a test.
#[derive(Debug)]
pub struct Context {
    /// The object that it runs on.
    pub kind: Kind,
    /// `--time-scale`.
    pub time_scale: f64,
    /// `--cycles`.
    pub cycles: u32,
    /// Loads and unloads the module, when `--module` is given.
    pub loader: Option<Loader>,
    /// The device's INFO before the first test; `None` on memfd.
    pub info: Option<RmmapInfo>,
}

impl Context {
    /// Returns fresh memory of the object under test.
    pub fn area(&self, pages: usize) -> Result<Area> {
        Area::new(self.kind, pages)
    }

    /// Returns fresh memory in single pages under any policy, for a test that counts them; see
    /// [`Area::of_single_pages`].
    pub fn single_pages(&self, pages: usize) -> Result<Area> {
        Area::of_single_pages(self.kind, pages)
    }

    /// Returns fresh memory in the largest folios that fit; see [`Area::of_large_folios`].
    pub fn large_folios(&self, pages: usize) -> Result<Area> {
        Area::of_large_folios(self.kind, pages)
    }

    /// Returns fresh memory of another object: a region, if the object under test is the device's
    /// own.
    pub fn other_area(&self, pages: usize) -> Result<Area> {
        match self.kind {
            Kind::Device | Kind::Region => Area::new(Kind::Region, pages),
            Kind::Memfd => Area::new(Kind::Memfd, pages),
        }
    }

    /// Returns the same in single pages; see [`Context::single_pages`].
    pub fn other_single_pages(&self, pages: usize) -> Result<Area> {
        match self.kind {
            Kind::Device | Kind::Region => Area::of_single_pages(Kind::Region, pages),
            Kind::Memfd => Area::new(Kind::Memfd, pages),
        }
    }

    /// Opens the device.
    #[track_caller]
    pub fn device(&self) -> Result<Device> {
        Device::open().map_err(|e| Stop::fail(format_args!("cannot open the device: {e}")))
    }

    /// Creates a region.
    #[track_caller]
    pub fn region(&self, pages: usize) -> Result<Device> {
        let region = self.device()?.create((pages * P) as u64, 0);
        region.map_err(|e| Stop::fail(format_args!("cannot create a region: {e}")))
    }

    /// Creates a region of single pages under any policy, for a test that counts them.
    #[track_caller]
    pub fn region_of_pages(&self, pages: usize) -> Result<Device> {
        let region = self
            .device()?
            .create((pages * P) as u64, RMMAP_CREATE_NEVER);
        region.map_err(|e| Stop::fail(format_args!("cannot create a region: {e}")))
    }

    /// Reserves addresses from a multiple of [`PMD`] on: nothing is accessible there until the test
    /// maps over it, and nothing around it can merge with the test's mappings.
    pub fn window(&self, pages: usize) -> Result<Mapping> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let none = MapOptions::new(pages * P + PMD)
            .prot(ProtFlags::empty())
            .only_flags(flags);
        let mut window = none.map_anonymous()?;
        let skip = window.address().next_multiple_of(PMD) - window.address();
        let aligned = window.move_part(skip..skip + pages * P, pages * P, false);
        let aligned = aligned?;
        window.unmap(0, pages * P + PMD)?;
        Ok(aligned)
    }

    /// Skips the test if this process lacks the capability.
    pub fn needs(&self, capability: CapabilitySet, name: &str) -> Result {
        match has_capability(capability) {
            true => Ok(()),
            false => Err(Stop::skip(format_args!("needs {name}: run it as root"))),
        }
    }

    /// Returns the loader, or the reason to skip the test.
    pub fn loader(&self) -> Result<&Loader> {
        self.loader
            .as_ref()
            .ok_or_else(|| Stop::skip("needs --module FILE.ko to reload the module"))
    }

    /// Returns the number of rounds of a loop: fewer than `usual` on a slow machine.
    pub fn rounds(&self, usual: usize) -> usize {
        ((usual as f64 / self.time_scale.max(1.0)) as usize).max(1)
    }
}
