// SPDX-License-Identifier: GPL-2.0

//! The device: its limits, the totals of its regions, and the region that `/dev/rmmap` maps.

use crate::{
    contract::Contract,
    policy::{
        Policy,
        PolicyCell, //
    },
    quota::PageQuota,
    region::{
        Kind,
        Region,
        RegionRef, //
    },
    stats::Counters, //
};
use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use kernel_mm::{
    cache::zero_page::ZeroPage,
    file::{
        ops::Hook,
        pseudo_fs::{
            InternalMount,
            PseudoFs, //
        }, //
    },
    mem::total_ram_bytes, //
};

/// The value of a module parameter that stands for its default: half of RAM, or
/// [`default_regions`].
const DEFAULT: u64 = 0xffff_ffff_ffff_fffe;

/// An estimate of the kernel memory for a region's inode, file and directory entry, including that
/// of the LSMs, bytes.
const FILE_BYTES: u64 = 2048;

/// Largest size of a file, `MAX_LFS_FILESIZE` of 64-bit kernels, in whole pages.
const MAX_SIZE: u64 = (i64::MAX as u64) & !(PAGE_SIZE as u64 - 1);

/// The file system of the device's own region, which lives as long as the module.
pub(crate) static DEVICE_FS: PseudoFs<Region> = PseudoFs::unowned(c"rmmap-device");

/// The file system of the regions that userspace creates; each keeps the module loaded.
pub(crate) static REGION_FS: PseudoFs<Region> =
    PseudoFs::executable::<crate::LocalModule>(c"rmmap");

/// The file system of created regions that forbid execution.
pub(crate) static NOEXEC_FS: PseudoFs<Region> =
    PseudoFs::new::<crate::LocalModule>(c"rmmap-noexec");

/// The mount of the device's own region.
pub(crate) type Mount = InternalMount<Region>;

/// The limits that the module parameters set.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Size of the device's own region, bytes; a multiple of the page size.
    pub(crate) capacity: u64,
    /// Memory that all regions may hold together, bytes.
    pub(crate) max_bytes: u64,
    /// The number of regions that userspace may have at a time, not counting the device's own.
    pub(crate) max_regions: u64,
}

/// Returns the number of regions whose kernel memory, apart from their pages, is 1/32 of RAM.
fn default_regions() -> u64 {
    let counters = (Counters::BYTES as u64).saturating_mul(nr_cpu_ids().into());
    let each = FILE_BYTES + size_of::<Region>() as u64 + counters;
    total_ram_bytes() / 32 / each
}

impl Limits {
    /// Checks the parameters, and logs an error for an invalid one.
    pub(crate) fn new(capacity: u64, max_bytes: u64, max_regions: u64) -> Result<Self> {
        let half = (total_ram_bytes() / 2) & !(PAGE_SIZE as u64 - 1);
        let choose = |name: &str, value: u64| match value {
            DEFAULT => Ok(half),
            0 => {
                pr_err!("{name}=0 is unusable: give a number of bytes, or leave it out\n");
                Err(EINVAL)
            }
            _ if value > MAX_SIZE => {
                pr_err!("{name}={value} is unusable: the largest is {MAX_SIZE}\n");
                Err(EINVAL)
            }
            _ => Ok(value),
        };
        let capacity = choose("capacity", capacity)?;
        if capacity % PAGE_SIZE as u64 != 0 {
            pr_err!("capacity={capacity} is unusable: it must be a multiple of {PAGE_SIZE}\n");
            return Err(EINVAL);
        }
        Ok(Self {
            capacity,
            max_bytes: choose("max_bytes", max_bytes)?,
            max_regions: match max_regions {
                DEFAULT => default_regions(),
                given => given,
            },
        })
    }
}

/// The most pages of zeroes that a device has.
const ZERO_PAGES: u32 = 64;

/// The state that all regions share.
pub(crate) struct Device {
    pub(crate) limits: Limits,
    pub(crate) hook: Hook,
    /// The folio policy of the device's own region, and of regions that are created without one.
    pub(crate) policy: PolicyCell,
    /// The counters of all regions, including those that were freed.
    pub(crate) counters: Counters,
    /// The source of the copy when a private write hits a hole; never mapped, never written.
    zero_page: ZeroPage,
    /// The same for processors from number 1 on.
    more_zero_pages: KVec<ZeroPage>,
    /// The pages that all regions hold.
    pages: PageQuota,
    /// The number of regions that exist.
    regions: Atomic<u64>,
}

impl Device {
    pub(crate) fn new(limits: Limits, hook: Hook, policy: Policy) -> Result<Arc<Self>> {
        let counters = Counters::new();
        counters.spread();
        let mut more_zero_pages = KVec::new();
        for _ in 1..nr_cpu_ids().min(ZERO_PAGES) {
            more_zero_pages.push(ZeroPage::new()?, GFP_KERNEL)?;
        }
        let device = Self {
            limits,
            hook,
            policy: PolicyCell::new(policy),
            counters,
            zero_page: ZeroPage::new()?,
            more_zero_pages,
            pages: PageQuota::new(limits.max_bytes / PAGE_SIZE as u64)?,
            regions: Atomic::new(0),
        };
        Ok(Arc::new(device, GFP_KERNEL)?)
    }

    /// Returns the quota of pages.
    pub(crate) fn pages(&self) -> &PageQuota {
        &self.pages
    }

    /// Returns the memory that all regions hold, bytes.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.pages.used() * PAGE_SIZE as u64
    }

    /// Returns the number of regions that exist.
    pub(crate) fn regions(&self) -> u64 {
        self.regions.load(Relaxed)
    }

    /// Counts a new region, or fails with `ENFILE` when userspace has reached its limit.
    pub(crate) fn add_region(&self, kind: Kind) -> Result {
        let limit = match kind {
            Kind::Device => u64::MAX,
            // The count includes the device's own region.
            Kind::Created => self.limits.max_regions.saturating_add(1),
        };
        let mut old = self.regions.load(Relaxed);
        while old < limit {
            match self.regions.cmpxchg(old, old + 1, Relaxed) {
                Ok(_) => return Ok(()),
                Err(changed) => old = changed,
            }
        }
        Err(ENFILE)
    }

    /// Uncounts a region.
    pub(crate) fn remove_region(&self) {
        self.regions.fetch_sub(1, Relaxed);
    }

    /// Returns a page of zeroes. The core locks it while it copies, so processors that use the same
    /// one wait for each other; a migration right after this only makes two of them do so.
    pub(crate) fn zero_page(&self) -> ZeroPage {
        let cpu = CpuId::current().as_u32() % ZERO_PAGES;
        let more = self.more_zero_pages.get((cpu as usize).wrapping_sub(1));
        more.unwrap_or(&self.zero_page).clone()
    }
}

/// Creates the region that `/dev/rmmap` maps.
pub(crate) fn own_region(device: &Arc<Device>, mount: &Mount) -> Result<RegionRef> {
    let region = Region::new(
        device.clone(),
        Kind::Device,
        device.policy.get(),
        Contract::none(),
    )?;
    mount.create_inode(device.limits.capacity, region)
}
