// SPDX-License-Identifier: GPL-2.0

//! The memory of the device that a case maps: pages that nobody has touched yet.

use std::os::fd::{AsFd, AsRawFd};

use anyhow::{bail, Context};
use rmmap_sys::{Device, MapOptions, PAGE_SIZE};
use rmmap_uapi::RMMAP_CREATE_CLOEXEC;

use super::case::PAGES;
use crate::device;

/// Length of what is mapped, bytes.
pub const LENGTH: u64 = (PAGES * PAGE_SIZE) as u64;

/// How many places of the device's region are looked at for one that is free.
const TRIES: u64 = 64;

/// Which object of the device is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// The device's own region: what everyone gets who maps `/dev/rmmap`.
    Device,
    /// A fresh region made with `RMMAP_IOC_CREATE`.
    Region,
}

/// A range of the device or of a region in which no page is resident.
///
/// What was put there is given back when this is dropped.
#[derive(Debug)]
pub struct Target {
    /// The descriptor to map.
    pub device: Device,
    /// First byte to map.
    pub offset: u64,
    /// The name that its mappings have in maps.
    pub name: String,
}

impl Target {
    /// Finds or makes such a range.
    pub fn new(object: Object) -> anyhow::Result<Self> {
        let (device, info) = device::open()?;
        let (device, offset) = match object {
            Object::Device => {
                let offset = free_offset(&device, info.capacity)?;
                (device, offset)
            }
            Object::Region => {
                let region = device.create(LENGTH, RMMAP_CREATE_CLOEXEC);
                (
                    region.context("cannot create a region (RMMAP_IOC_CREATE)")?,
                    0,
                )
            }
        };
        let name = std::fs::read_link(format!("/proc/self/fd/{}", device.as_fd().as_raw_fd()))
            .context("cannot read the name of the descriptor in /proc/self/fd")?
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            device,
            offset,
            name,
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // What cannot be given back stays until the region goes; the next run finds another range.
        let _ = self.device.discard(self.offset, LENGTH);
    }
}

/// Finds a range of the device's own region that holds nothing, from its end backwards.
///
/// Somebody else's data lies there perhaps, so nothing is discarded to make room.
fn free_offset(device: &Device, capacity: u64) -> anyhow::Result<u64> {
    let places = capacity / LENGTH;
    for place in (0..places).rev().take(TRIES as usize) {
        let offset = place * LENGTH;
        let mapping = MapOptions::new(LENGTH as usize)
            .read_only()
            .offset(offset)
            .map(device)
            .context("cannot map the device to look for a free range")?;
        // mincore(2) says what the device holds, for a mapping without any page.
        let held = mapping
            .mincore(0, mapping.len())
            .context("mincore failed")?;
        if !held.contains(&true) {
            return Ok(offset);
        }
    }
    bail!(
        "the last {} ranges of {LENGTH} bytes of /dev/rmmap are in use (its capacity is {capacity} \
         bytes): use `rmmap demo --region`, which maps fresh regions, or give memory back with \
         RMMAP_IOC_DISCARD",
        TRIES.min(places)
    )
}
