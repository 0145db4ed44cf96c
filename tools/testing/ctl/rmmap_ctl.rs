// SPDX-License-Identifier: GPL-2.0

//! The control devices of the tests of the mmap path: `/dev/rmmap-ctl-NAME`.
//!
//! `/dev/rmmap` cannot reach every branch of the path; a driver that does one odd thing can reach
//! those. Each device is one such driver (`ctl.rs` lists them). read(2) returns the number of calls
//! of each operation.
//!
//! | file | job |
//! |---|---|
//! | `ctl.rs` | the devices: their names, and the odd behaviour of each |
//! | `device.rs` | a device's memory, and the counters |
//! | `file.rs` | the hooks of mmap(2), and the rest of the files |
//! | `vm.rs` | the mappings |

#![forbid(unsafe_code)]

mod ctl;
mod device;
mod file;
mod vm;

use crate::{
    ctl::{
        Ctl,
        Entry, //
    },
    device::{
        Device,
        Memory,
        FS, //
    },
    file::{
        CtlFile,
        LateFile,
        MmapSync,
        NoHookFile,
        PlacedFile,
        UnsignedOffset, //
    },
    vm::{
        Around,
        Bare,
        Closing,
        Frames,
        MappedCounts,
        NoAround,
        OwnPages, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_mm::{
    file::{
        miscdevice::MiscRegistration,
        ops::{
            Hook,
            OpenMisc, //
        },
        pseudo_fs::InternalMount, //
    },
    testing::register_both_hooks, //
};

module! {
    type: Controls,
    name: "rmmap_ctl",
    authors: ["rmmap developers"],
    description: "Devices that each do one odd thing, for tests of the mmap path",
    license: "GPL",
}

/// Registered devices whose files are of one type.
struct Group<F: OpenMisc>(#[expect(dead_code, reason = "kept for its drop")] Registered<F>);

type Registered<F> = KVec<Pin<KBox<MiscRegistration<F>>>>;

impl<F: OpenMisc<Context = Arc<Device>>> Group<F> {
    fn register(mount: &InternalMount<Memory>, hook: Hook, entries: &[Entry]) -> Result<Self> {
        let mut group = KVec::with_capacity(entries.len(), GFP_KERNEL)?;
        for (ctl, name) in entries {
            let device = Arc::new(Device::new(mount, *ctl)?, GFP_KERNEL)?;
            let misc = MiscRegistration::register(name, hook, device);
            group.push(KBox::try_pin_init(misc, GFP_KERNEL)?, GFP_KERNEL)?;
        }
        Ok(Self(group))
    }
}

/// The module. The fields are dropped in this order: the mount last.
struct Controls {
    _mmap: Group<CtlFile<Around>>,
    _prepare: Group<CtlFile<Around>>,
    _no_around: Group<CtlFile<NoAround>>,
    _closing: Group<CtlFile<Closing>>,
    _closing_prepare: Group<CtlFile<Closing>>,
    _mapped: Group<CtlFile<MappedCounts>>,
    _mixed: Group<CtlFile<OwnPages>>,
    _frames: Group<CtlFile<Frames>>,
    _bare: Group<CtlFile<Bare>>,
    _sync: Group<CtlFile<Around, MmapSync>>,
    _unsigned: Group<CtlFile<Around, UnsignedOffset>>,
    _both: Pin<KBox<MiscRegistration<CtlFile<Around>>>>,
    _late: Group<LateFile>,
    _placed: Group<PlacedFile>,
    _no_hook: Group<NoHookFile>,
    _mount: InternalMount<Memory>,
}

impl kernel::Module for Controls {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        use Hook::*;
        let mount = InternalMount::new(&FS)?;
        Ok(Self {
            _mmap: Group::register(&mount, Mmap, ctl::AROUND)?,
            _prepare: Group::register(&mount, MmapPrepare, ctl::AROUND_PREPARE)?,
            _no_around: Group::register(&mount, Mmap, ctl::NO_AROUND)?,
            _closing: Group::register(&mount, Mmap, ctl::CLOSING)?,
            _closing_prepare: Group::register(&mount, MmapPrepare, ctl::CLOSING_PREPARE)?,
            _mapped: Group::register(&mount, MmapPrepare, ctl::MAPPED)?,
            _mixed: Group::register(&mount, Mmap, &[(Ctl::Plain, c"rmmap-ctl-mixed")])?,
            _frames: Group::register(&mount, Mmap, &[(Ctl::Plain, c"rmmap-ctl-pfn")])?,
            _bare: Group::register(&mount, Mmap, &[(Ctl::Plain, c"rmmap-ctl-noops")])?,
            _sync: Group::register(&mount, Mmap, &[(Ctl::Plain, c"rmmap-ctl-sync")])?,
            _unsigned: Group::register(&mount, Mmap, &[(Ctl::Plain, c"rmmap-ctl-uoff")])?,
            _both: KBox::try_pin_init(
                register_both_hooks(
                    c"rmmap-ctl-both",
                    Arc::new(Device::new(&mount, Ctl::Plain)?, GFP_KERNEL)?,
                ),
                GFP_KERNEL,
            )?,
            _late: Group::register(&mount, Mmap, &[(Ctl::Plain, c"rmmap-ctl-fail-late")])?,
            _placed: Group::register(&mount, Mmap, &[(Ctl::Plain, c"rmmap-ctl-gua")])?,
            _no_hook: Group::register(&mount, Mmap, &[(Ctl::Plain, c"rmmap-ctl-nommap")])?,
            _mount: mount,
        })
    }
}
