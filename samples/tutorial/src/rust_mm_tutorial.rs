// SPDX-License-Identifier: GPL-2.0

//! The device of `Documentation/writing-a-driver.rst`: `/dev/rust_mm_tutorial`, 4 MiB of memory.

#![forbid(unsafe_code)]

use core::ops::Range;
use kernel::fs::File;
use kernel::iov::{IovIterDest, IovIterSource};
use kernel::prelude::*;
use kernel::sync::aref::ARef;
use kernel_mm::cache::address_space::{AddressSpace, TruncateGuard};
use kernel_mm::cache::folio::LockedFolio;
use kernel_mm::cache::inode::{Inode, InodeData};
use kernel_mm::cache::insert::{FolioRange, Quota};
use kernel_mm::file::miscdevice::MiscRegistration;
use kernel_mm::file::ops::{FileKiocb, FileOperations, GenericOps, Hook, OpenMisc, Opened};
use kernel_mm::file::pseudo_fs::{InternalMount, PseudoFs};
use kernel_mm::file::rw::{self, Growth, WriteFolios};
use kernel_mm::vm::fault::{Answer, VmFault};
use kernel_mm::vm::map_pages::MapPages;
use kernel_mm::vm::ops::VmOperations;
use kernel_mm::vm::vm_area_desc::VmAreaDesc;
use kernel_mm::vm::vma::Plain;

module! {
    type: Tutorial,
    name: "rust_mm_tutorial",
    authors: ["A reader"],
    description: "The device of the tutorial",
    license: "GPL",
}

/// The size of the device, bytes.
const SIZE: u64 = 4 << 20;

static FS: PseudoFs<Memory> = PseudoFs::unowned(c"rust_mm_tutorial");

/// The data of the region: none but its pages.
struct Memory;

impl InodeData for Memory {
    fn may_resize(&self, _size: u64) -> Result {
        Err(EPERM)
    }

    fn pages_removed(&self, _pages: usize) {}
}

type Region = ARef<Inode<Memory>>;

/// Returns page `index` of the region, locked, and adds a zeroed one if it is missing.
fn folio_at<'m, G: TruncateGuard<'m>>(held: &G, index: usize) -> Result<LockedFolio<'m>> {
    loop {
        if let Some(folio) = held.mapping().lock_folio(index) {
            return Ok(folio);
        }
        let folio = AddressSpace::alloc_folio(held, index, 0).ok_or(ENOMEM)?;
        match AddressSpace::add_folio(held, folio, index) {
            Ok(folio) => return Ok(folio),
            // Another thread was faster: take its folio.
            Err(failed) if failed.error == EEXIST => continue,
            Err(failed) => return Err(failed.error),
        }
    }
}

/// An open file.
struct TutorialFile;

#[vtable]
impl FileOperations for TutorialFile {
    type Data = Region;
    type Vm = TutorialVm;

    const GENERIC: GenericOps = GenericOps {
        llseek: true,
        ..GenericOps::NONE
    };

    fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, TutorialVm>) -> Result {
        match desc.pgoff().checked_add(desc.pages()) {
            Some(end) if end <= desc.file_data().mapping().size_pages() => Ok(()),
            _ => Err(ENXIO),
        }
    }

    fn read_iter(mut kiocb: FileKiocb<'_, Region>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        let region: &Region = kiocb.file();
        rw::read_iter(region, &mut kiocb, iov)
    }

    fn write_iter(mut kiocb: FileKiocb<'_, Region>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        let region: &Region = kiocb.file();
        rw::write_iter(region, &mut kiocb, iov, Growth::Fixed, &SinglePages)
    }
}

/// Single pages for write(2), without a limit on their number.
struct SinglePages;

impl WriteFolios for SinglePages {
    fn write_room(&self, pages: Range<usize>, _end: usize) -> FolioRange {
        FolioRange::page(pages.start)
    }
}

impl Quota for SinglePages {
    fn charge(&self, _pages: usize) -> bool {
        true
    }

    fn uncharge(&self, _pages: usize) {}
}

impl OpenMisc for TutorialFile {
    type Context = Region;

    fn open(region: &Region) -> Result<Opened<Region>> {
        Ok(Opened::onto(region.clone(), region.clone()))
    }
}

/// Its mappings.
struct TutorialVm;

#[vtable]
impl VmOperations for TutorialVm {
    type Data = Region;
    type Private = ();
    type Kind = Plain;
    type Atomic = Memory;

    fn atomic(region: &Region) -> &Memory {
        region
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        let mapping = vmf.data().mapping();
        let held = vmf.invalidate_lock_shared(mapping);
        if vmf.pgoff() >= mapping.size_pages() {
            return vmf.sigbus();
        }
        match folio_at(&held, vmf.pgoff()) {
            Ok(folio) => vmf.locked(folio),
            Err(_) => vmf.no_memory(),
        }
    }

    fn map_pages(pages: MapPages<'_, Self>) -> Answer<'_> {
        pages.map_resident()
    }
}

/// The module. Its fields are dropped in order.
#[pin_data]
struct Tutorial {
    #[pin]
    _misc: MiscRegistration<TutorialFile>,
    _mount: InternalMount<Memory>,
}

impl kernel::InPlaceModule for Tutorial {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let mount = InternalMount::new(&FS)?;
            let region = mount.create_inode(SIZE, KBox::new(Memory, GFP_KERNEL)?)?;
            pr_info!("{} MiB at /dev/rust_mm_tutorial\n", SIZE >> 20);
            Ok(try_pin_init!(Self {
                _misc <- MiscRegistration::register(c"rust_mm_tutorial", Hook::MmapPrepare, region),
                _mount: mount,
            }))
        })
    }
}
