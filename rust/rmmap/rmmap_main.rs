// SPDX-License-Identifier: GPL-2.0

//! `/dev/rmmap`: memory that is mapped through the kernel's regular path, in safe Rust.
//!
//! | file | job |
//! |---|---|
//! | `device.rs` | the device: limits, totals, the region that `/dev/rmmap` maps |
//! | `quota.rs` | the quota: how many pages all regions may hold |
//! | `contract.rs` | a region as a file: execution and seals |
//! | `region.rs` | a region: its device and its counters |
//! | `vm.rs` | page faults |
//! | `policy.rs` | the folio policies |
//! | `plan.rs`, `order_hint.rs` | how much a fault or a write allocates, in which folios |
//! | `debugfs.rs` | changing the policy at run time; whether there are counters |
//! | `file.rs` | open, mmap, read, write, punch, fdinfo |
//! | `open_region.rs` | the data of an open file, and how it creates regions |
//! | `ioctl.rs` | the ioctls of `../uapi/rmmap.rs` |
//! | `stats.rs` | the counters, which may be compiled out |
//! | `trace.rs` | the tracepoints, which `rmmap_trace.h` defines |
//! | `kunit.rs` | tests of the above, inside the kernel |

#![forbid(unsafe_code)]

mod contract;
mod debugfs;
mod device;
mod file;
mod ioctl;
#[cfg(CONFIG_KUNIT = "y")]
mod kunit;
mod open_region;
mod order_hint;
mod plan;
mod policy;
mod quota;
mod region;
mod stats;
mod trace;
mod vm;

use crate::{
    device::{
        Device,
        Limits, //
    },
    policy::Policy, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_mm::{
    compat::param,
    file::{
        miscdevice::MiscRegistration,
        ops::Hook, //
    }, //
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
        max_regions: u64 {
            default: 0xffff_ffff_ffff_fffe,
            description: "Regions userspace may have at a time (default: what costs 1/32 of RAM)",
        },
        policy: u32 {
            default: 1,
            description: "Folio policy: 0 never large, 1 adaptive (default), 2 always large",
        },
        prepare: u8 {
            default: 0,
            description: "Hook for mmap(2): 0 mmap (default), 1 the newer mmap_prepare",
        },
    },
}

/// The module: a registered device.
#[pin_data]
struct Rmmap {
    #[pin]
    misc: MiscRegistration<file::RegionFile>,
    // Dropped after the registration: no file is open then, and the device's own region is freed
    // while the module is still loaded.
    device: Arc<Device>,
    #[pin]
    _debugfs: debugfs::Files,
    // Dropped after the device: its region must be freed before the mount is dropped.
    _mount: device::Mount,
}

impl kernel::InPlaceModule for Rmmap {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            let hook = match param(module_parameters::prepare.value()) {
                0u8 => Hook::Mmap,
                1 => Hook::MmapPrepare,
                number => {
                    pr_err!("prepare={number} is unusable: 0 mmap, 1 mmap_prepare\n");
                    return Err(EINVAL);
                }
            };
            let limits = Limits::new(
                param(module_parameters::capacity.value()),
                param(module_parameters::max_bytes.value()),
                param(module_parameters::max_regions.value()),
            )?;
            let mount = device::Mount::new(&device::DEVICE_FS)?;
            let number = param(module_parameters::policy.value());
            let policy = Policy::from_abi(number).inspect_err(|_| {
                pr_err!("policy={number} is unusable: 0 never, 1 adaptive, 2 always\n");
            })?;
            let device = Device::new(limits, hook, policy)?;
            let region = device::own_region(&device, &mount)?;
            pr_info!(
                "/dev/rmmap: {} MiB, all regions at most {} MiB, mapped by {}{}\n",
                limits.capacity >> 20,
                limits.max_bytes >> 20,
                match hook {
                    Hook::Mmap => "mmap",
                    Hook::MmapPrepare => "mmap_prepare",
                },
                if stats::COUNTED {
                    ""
                } else {
                    ", no statistics"
                }
            );
            Ok(try_pin_init!(Self {
                misc <- MiscRegistration::register(c"rmmap", hook, region),
                _debugfs <- debugfs::Files::new(device.clone()),
                device,
                _mount: mount,
            }))
        })
    }
}
