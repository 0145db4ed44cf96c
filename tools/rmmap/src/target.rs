// SPDX-License-Identifier: GPL-2.0

//! Memory of the device to map: pages that nobody has touched yet.

use std::os::fd::{AsFd, AsRawFd};

use anyhow::{bail, Context};
use rmmap_sys::{Device, MapOptions, PAGE_SIZE};
use rmmap_uapi::{RMMAP_CREATE_CLOEXEC, RMMAP_CREATE_NEVER, RMMAP_POLICY_NEVER};

use crate::device;

/// The number of ranges of the device's region that are checked for a free one.
const TRIES: u64 = 64;

/// The object of the device to map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// The device's own region, which every mapping of `/dev/rmmap` shares.
    Device,
    /// A new region made with `RMMAP_IOC_CREATE`.
    Region,
}

/// A range of the device or of a region in which no page is resident.
///
/// Dropping it frees the pages that were added there.
#[derive(Debug)]
pub struct Target {
    /// The descriptor to map.
    pub device: Device,
    /// First byte to map.
    pub offset: u64,
    /// The name that its mappings have in maps.
    pub name: String,
    /// The number of bytes to free when this is dropped.
    length: u64,
    /// The previous folio policy of the device, to be restored.
    policy: Option<u32>,
}

impl Target {
    /// Finds or makes such a range of `length` bytes.
    pub fn new(object: Object, length: u64) -> anyhow::Result<Self> {
        // The kernel refuses an empty mapping, and rounds half a page up to a whole one.
        let whole = length.max(1).next_multiple_of(PAGE_SIZE as u64);
        let (device, info) = device::open()?;
        // The program shows the cost of one page, so a fault must add one page.
        let mut policy = None;
        let (device, offset) = match object {
            Object::Device => {
                device
                    .set_policy(RMMAP_POLICY_NEVER)
                    .context("cannot set the folio policy (RMMAP_IOC_POLICY)")?;
                policy = Some(info.policy);
                let offset = free_offset(&device, info.capacity, whole)?;
                (device, offset)
            }
            Object::Region => (create(&device, length)?, 0),
        };
        let mut target = Self::of(device, offset, whole)?;
        target.policy = policy;
        Ok(target)
    }

    /// Returns a range that the user chose. It may contain data, so dropping it frees nothing of
    /// the device.
    pub fn at(object: Object, length: u64, offset: u64) -> anyhow::Result<Self> {
        let (device, _) = device::open()?;
        let device = match object {
            Object::Device => device,
            Object::Region => create(&device, length)?,
        };
        Self::of(device, offset, 0)
    }

    fn of(device: Device, offset: u64, length: u64) -> anyhow::Result<Self> {
        let name = std::fs::read_link(format!("/proc/self/fd/{}", device.as_fd().as_raw_fd()))
            .context("cannot read the name of the descriptor in /proc/self/fd")?
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            device,
            offset,
            name,
            length,
            policy: None,
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Memory that cannot be freed stays until the region is freed; the next run finds another
        // range.
        if self.length != 0 {
            let _ = self.device.discard(self.offset, self.length);
        }
        if let Some(policy) = self.policy {
            let _ = self.device.set_policy(policy);
        }
    }
}

/// Makes a region.
fn create(device: &Device, length: u64) -> anyhow::Result<Device> {
    let region = device.create(length, RMMAP_CREATE_CLOEXEC | RMMAP_CREATE_NEVER);
    region.context("cannot create a region (RMMAP_IOC_CREATE)")
}

/// Finds a range without pages in the device's own region, from its end backwards.
///
/// Other ranges may contain somebody's data, so it discards nothing to make room.
fn free_offset(device: &Device, capacity: u64, length: u64) -> anyhow::Result<u64> {
    let places = capacity / length;
    for place in (0..places).rev().take(TRIES as usize) {
        let offset = place * length;
        let mapping = MapOptions::new(length as usize)
            .read_only()
            .offset(offset)
            .map(device)
            .context("cannot map the device to look for a free range")?;
        // mincore(2) shows the device's pages, through a mapping without any page.
        let held = mapping
            .mincore(0, mapping.len())
            .context("mincore failed")?;
        if !held.contains(&true) {
            return Ok(offset);
        }
    }
    bail!(
        "the last {} ranges of {length} bytes of /dev/rmmap are in use (its capacity is {capacity} \
         bytes): use `rmmap demo --region`, which maps fresh regions, or give memory back with \
         RMMAP_IOC_DISCARD",
        TRIES.min(places)
    )
}
