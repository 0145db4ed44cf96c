// SPDX-License-Identifier: GPL-2.0

//! `/dev/rmmap`: memory that is mapped through the kernel's real path, in safe Rust.
//!
//! | file | job |
//! |---|---|
//! | `device.rs` | the device: limits, totals, the region that `/dev/rmmap` shows |
//! | `region.rs` | a region: its quota and how it comes to a page |
//! | `vm.rs` | page faults |
//! | `file.rs` | open, mmap, read, write, punch, fdinfo |
//! | `ioctl.rs` | the ioctls of `../uapi/rmmap.rs` |
//! | `stats.rs` | the counters |
//! | `trace.rs` | the tracepoints, which `rmmap_trace.h` describes |
//! | `kunit.rs` | tests of the above, inside the kernel |

#![forbid(unsafe_code)]

mod device;
mod file;
mod ioctl;
#[cfg(CONFIG_KUNIT = "y")]
mod kunit;
mod region;
mod stats;
mod trace;
mod vm;

use crate::device::{
    Device,
    Limits, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_mm::{
    file_ops::Hook,
    misc::MiscRegistration, //
};

module! {
    type: Rmmap,
    name: "rmmap",
    authors: ["rmmap developers"],
    description: "A device whose mappings exercise the kernel's mmap path",
    license: "GPL",
    params: {
        capacity: u64 {
            default: 0xffff_ffff_ffff_fffe,
            description: "Size of the region that /dev/rmmap shows, bytes (default: half of RAM)",
        },
        max_bytes: u64 {
            default: 0xffff_ffff_ffff_fffe,
            description: "Memory that all regions may hold together, bytes (default: half of RAM)",
        },
        prepare: bool {
            default: false,
            description: "Answer mmap(2) by mmap_prepare instead of the older mmap hook",
        },
    },
}

/// The module: a registered device.
#[pin_data]
struct Rmmap {
    #[pin]
    misc: MiscRegistration<file::RegionFile>,
    // Behind the registration: no file is open once that is gone, and the device's own region is
    // freed while the module is still there.
    device: Arc<Device>,
    // Behind the device: its region must be gone before the mount.
    _mount: device::Mount,
}

impl kernel::InPlaceModule for Rmmap {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            let hook = if module_parameters::prepare.value() {
                Hook::MmapPrepare
            } else {
                Hook::Mmap
            };
            let limits = Limits::new(
                module_parameters::capacity.value(),
                module_parameters::max_bytes.value(),
            )?;
            let mount = device::Mount::new(&device::DEVICE_FS)?;
            let device = Device::new(limits, hook)?;
            let region = device::own_region(&device, &mount)?;
            pr_info!(
                "/dev/rmmap: {} MiB, all regions at most {} MiB, mapped by {}\n",
                limits.capacity >> 20,
                limits.max_bytes >> 20,
                match hook {
                    Hook::Mmap => "mmap",
                    Hook::MmapPrepare => "mmap_prepare",
                }
            );
            Ok(try_pin_init!(Self {
                misc <- MiscRegistration::register(c"rmmap", hook, region),
                device,
                _mount: mount,
            }))
        })
    }
}
