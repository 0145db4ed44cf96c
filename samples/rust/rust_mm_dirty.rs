// SPDX-License-Identifier: GPL-2.0

//! A device that tracks which of its pages were written through a mapping: `/dev/rust_mm_dirty`.
//!
//! Pages are mapped read-only at first; the core calls `page_mkwrite` for the first store to each.
//! read(2) returns one character per page, `D` for dirty and `-` for clean, and makes all pages
//! clean and read-only again.

#![forbid(unsafe_code)]

use kernel::{
    fs::File,
    iov::IovIterDest,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
    }, //
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
            FileKiocb,
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
        mkwrite::MkwriteFault,
        ops::VmOperations,
        vm_area_desc::VmAreaDesc,
        vma::Plain, //
    }, //
};

module! {
    type: Tracker,
    name: "rust_mm_dirty",
    authors: ["rmmap developers"],
    description: "Sample: a device that tracks which pages are written",
    license: "GPL",
}

/// The number of pages of the device; each has a flag.
const PAGES: usize = 32;

static FS: PseudoFs<Memory> = PseudoFs::unowned(c"rust_mm_dirty");

/// The data of the memory: a flag for each page that was written.
struct Memory {
    dirty: [Atomic<bool>; PAGES],
}

impl InodeData for Memory {
    fn may_resize(&self, _size: u64) -> Result {
        Err(EPERM)
    }

    fn pages_removed(&self, _pages: usize) {}
}

type MemoryRef = ARef<Inode<Memory>>;

/// An open file.
struct DirtyFile;

#[vtable]
impl FileOperations for DirtyFile {
    type Data = MemoryRef;
    type Vm = DirtyVm;

    fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, DirtyVm>) -> Result {
        match desc.pgoff().checked_add(desc.pages()) {
            Some(end) if end <= PAGES => Ok(()),
            _ => Err(ENXIO),
        }
    }

    fn read_iter(kiocb: FileKiocb<'_, MemoryRef>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        let memory: &MemoryRef = kiocb.file();
        let mut report = [b'-'; PAGES];
        for (page, mark) in report.iter_mut().enumerate() {
            if !memory.dirty[page].load(Relaxed) {
                continue;
            }
            // Clean from now on, and unmapped, so that `page_mkwrite` sees the next store. The
            // folio lock excludes that a store which `page_mkwrite` has allowed is mapped in
            // between.
            let locked = memory.mapping().lock_folio(page);
            memory.dirty[page].store(false, Relaxed);
            memory.mapping().unmap(page, 1);
            drop(locked);
            *mark = b'D';
        }
        Ok(iov.copy_to_iter(&report))
    }
}

impl OpenMisc for DirtyFile {
    type Context = MemoryRef;

    fn open(memory: &MemoryRef) -> Result<Opened<MemoryRef>> {
        Ok(Opened::onto(memory.clone(), memory.clone()))
    }
}

/// Its mappings.
struct DirtyVm;

#[vtable]
impl VmOperations for DirtyVm {
    type Data = MemoryRef;
    type Private = ();
    type Kind = Plain;
    type Atomic = Memory;

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

    fn page_mkwrite(vmf: MkwriteFault<'_, Self>) -> Answer<'_> {
        let Some(dirty) = vmf.data().dirty.get(vmf.pgoff()) else {
            return vmf.refuse();
        };
        match vmf.lock() {
            // The folio stays locked until it is mapped writable.
            Ok(locked) => {
                dirty.store(true, Relaxed);
                locked.allow()
            }
            Err(again) => again,
        }
    }
}

/// The module. Its fields are dropped in order.
#[pin_data]
struct Tracker {
    #[pin]
    _misc: MiscRegistration<DirtyFile>,
    _mount: InternalMount<Memory>,
}

impl kernel::InPlaceModule for Tracker {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let mount = InternalMount::new(&FS)?;
            let memory = Memory {
                dirty: core::array::from_fn(|_| Atomic::new(false)),
            };
            let size = (PAGES * kernel::page::PAGE_SIZE) as u64;
            let memory = mount.create_inode(size, KBox::new(memory, GFP_KERNEL)?)?;
            Ok(try_pin_init!(Self {
                _misc <- MiscRegistration::register(c"rust_mm_dirty", Hook::MmapPrepare, memory),
                _mount: mount,
            }))
        })
    }
}
