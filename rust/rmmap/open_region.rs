// SPDX-License-Identifier: GPL-2.0

//! The data of an open file: its region, and the mounts for regions that it creates.

use crate::{
    device::{
        NOEXEC_FS,
        REGION_FS, //
    },
    region::{
        Region,
        RegionRef, //
    }, //
};
use core::ops::Deref;
use kernel::{
    fs::File,
    prelude::*,
    sync::{
        aref::ARef,
        SetOnce, //
    }, //
};
use kernel_mm::file::{
    ops::OpenInode,
    pseudo_fs::Pin, //
};

/// The data of an open file.
pub(crate) struct OpenRegion {
    region: RegionRef,
    /// Keeps [`REGION_FS`] mounted once a region was created through this file: a program that
    /// creates one usually creates more, and each would need a mount of its own.
    pin: SetOnce<Pin<Region>>,
    /// The same for [`NOEXEC_FS`].
    noexec_pin: SetOnce<Pin<Region>>,
}

impl OpenRegion {
    pub(crate) fn new(region: RegionRef) -> Self {
        Self {
            region,
            pin: SetOnce::new(),
            noexec_pin: SetOnce::new(),
        }
    }

    /// Creates a file of a new region, which may be executed if `executable` is true.
    ///
    /// # Errors
    ///
    /// Those of [`Pin::create_file`].
    pub(crate) fn create_file<F: OpenInode<Inode = Region>>(
        &self,
        executable: bool,
        name: &CStr,
        size: u64,
        data: KBox<Region>,
    ) -> Result<(ARef<File>, RegionRef)> {
        let hook = self.device.hook;
        let (fs, slot) = match executable {
            true => (&REGION_FS, &self.pin),
            false => (&NOEXEC_FS, &self.noexec_pin),
        };
        if let Some(pin) = slot.as_ref() {
            return pin.create_file::<F>(name, hook, size, data);
        }
        let pin = fs.pin()?;
        let created = pin.create_file::<F>(name, hook, size, data)?;
        // If another thread was faster, this pin is dropped.
        slot.populate(pin);
        Ok(created)
    }
}

impl Deref for OpenRegion {
    type Target = RegionRef;

    fn deref(&self) -> &RegionRef {
        &self.region
    }
}
