// SPDX-License-Identifier: GPL-2.0

//! The smallest device that allocates its memory on access: `/dev/rust_mm_lazy`, 16 MiB.
//!
//! All mappings share its pages, which stay in a page cache until the module is unloaded.

#![forbid(unsafe_code)]

use kernel::{
    fs::File,
    prelude::*,
    sync::aref::ARef, //
};
use kernel_mm::{
    cache::{
        address_space::AddressSpace,
        inode::{
            Inode,
            InodeData, //
        },
        insert::{
            FolioRange,
            Unlimited, //
        }, //
    },
    file::{
        miscdevice::MiscRegistration,
        ops::{
            FileOperations,
            Hook,
            OpenMisc,
            Opened, //
        },
        pseudo_fs::{
            InternalMount,
            PseudoFs, //
        }, //
    },
    vm::{
        fault::{
            Answer,
            VmFault, //
        },
        map_pages::MapPages,
        ops::VmOperations,
        vm_area_desc::VmAreaDesc,
        vma::Plain, //
    }, //
};

module! {
    type: Lazy,
    name: "rust_mm_lazy",
    authors: ["rmmap developers"],
    description: "Sample: a device whose memory appears when it is touched",
    license: "GPL",
}

/// Size of the device, bytes.
const SIZE: u64 = 16 << 20;

static FS: PseudoFs<Memory> = PseudoFs::unowned(c"rust_mm_lazy");

/// The data of the memory: none but its pages.
struct Memory;

impl InodeData for Memory {
    fn may_resize(&self, _size: u64) -> Result {
        Err(EPERM)
    }

    fn pages_removed(&self, _pages: usize) {}
}

type MemoryRef = ARef<Inode<Memory>>;

/// An open file.
struct LazyFile;

#[vtable]
impl FileOperations for LazyFile {
    type Data = MemoryRef;
    type Vm = LazyVm;

    fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, LazyVm>) -> Result {
        match desc.pgoff().checked_add(desc.pages()) {
            Some(end) if end <= desc.file_data().mapping().size_pages() => Ok(()),
            _ => Err(ENXIO),
        }
    }
}

impl OpenMisc for LazyFile {
    type Context = MemoryRef;

    fn open(memory: &MemoryRef) -> Result<Opened<MemoryRef>> {
        Ok(Opened::onto(memory.clone(), memory.clone()))
    }
}

/// Its mappings.
struct LazyVm;

#[vtable]
impl VmOperations for LazyVm {
    type Data = MemoryRef;
    type Private = ();
    type Kind = Plain;
    type Atomic = Memory;

    // Write protection by userfaultfd(2) needs only a driver's consent.
    const USERFAULTFD: bool = true;

    fn atomic(memory: &MemoryRef) -> &Memory {
        memory
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        let mapping = vmf.data().mapping();
        let held = vmf.invalidate_lock_shared(mapping);
        let room = FolioRange::page(vmf.pgoff());
        match AddressSpace::find_or_add(&held, vmf.pgoff(), &room, &Unlimited) {
            Ok(found) => vmf.locked(found.into_folio()),
            Err(error) => vmf.error(error),
        }
    }

    fn map_pages(pages: MapPages<'_, Self>) -> Answer<'_> {
        pages.map_resident()
    }
}

/// The module. Its fields are dropped in order.
#[pin_data]
struct Lazy {
    #[pin]
    _misc: MiscRegistration<LazyFile>,
    _mount: InternalMount<Memory>,
}

impl kernel::InPlaceModule for Lazy {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let mount = InternalMount::new(&FS)?;
            let memory = mount.create_inode(SIZE, KBox::new(Memory, GFP_KERNEL)?)?;
            Ok(try_pin_init!(Self {
                _misc <- MiscRegistration::register(c"rust_mm_lazy", Hook::MmapPrepare, memory),
                _mount: mount,
            }))
        })
    }
}
