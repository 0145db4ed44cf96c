// SPDX-License-Identifier: GPL-2.0

//! A device that maps its pages up front, in the hook: `/dev/rust_mm_pages`.
//!
//! Each open file has 8 pages of its own, which begin with their number. All of them are mapped
//! when mmap(2) returns, and the driver gets no page fault.

#![forbid(unsafe_code)]

use kernel::{
    fs::File,
    prelude::*, //
};
use kernel_mm::{
    file::{
        miscdevice::MiscRegistration,
        ops::{
            FileOperations,
            Hook,
            OpenMisc,
            Opened, //
        }, //
    },
    vm::{
        new_vma::NewVma,
        ops::VmOperations,
        pages::PageList,
        vm_area_desc::VmAreaDesc,
        vma::Mixed, //
    }, //
};

module! {
    type: UpFront,
    name: "rust_mm_pages",
    authors: ["rmmap developers"],
    description: "Sample: a device whose pages are mapped up front",
    license: "GPL",
    params: {
        prepare: u8 {
            default: 1,
            description: "Map by mmap_prepare's action instead of in the mmap hook",
        },
    },
}

/// The number of pages of each open file.
const PAGES: usize = 8;

/// An open file.
struct PagesFile;

#[vtable]
impl FileOperations for PagesFile {
    type Data = PageList;
    type Vm = PagesVm;

    // Only all 8 pages can be mapped, from offset 0.
    fn mmap(_file: &File, vma: NewVma<'_, PagesVm>) -> Result {
        if vma.pgoff() != 0 || vma.pages() != PAGES {
            return Err(EINVAL);
        }
        vma.insert_pages(vma.start(), vma.file_data())
    }

    fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, PagesVm>) -> Result {
        if desc.pgoff() != 0 {
            return Err(EINVAL);
        }
        desc.map_pages_full(desc.file_data())
    }
}

impl OpenMisc for PagesFile {
    type Context = ();

    fn open(_context: &()) -> Result<Opened<PageList>> {
        let pages = PageList::new(PAGES)?;
        for index in 0..PAGES {
            pages.write(index * kernel::page::PAGE_SIZE, &[b'p', b'0' + index as u8])?;
        }
        Ok(Opened::new(pages))
    }
}

/// Its mappings: they map the driver's own pages, and need no operation.
struct PagesVm;

#[vtable]
impl VmOperations for PagesVm {
    type Data = PageList;
    type Private = ();
    type Kind = Mixed;
    type Atomic = PageList;

    fn atomic(pages: &PageList) -> &PageList {
        pages
    }
}

/// The module.
#[pin_data]
struct UpFront {
    #[pin]
    _misc: MiscRegistration<PagesFile>,
}

impl kernel::InPlaceModule for UpFront {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let hook = if module_parameters::prepare.value().eq(&0) {
            Hook::Mmap
        } else {
            Hook::MmapPrepare
        };
        try_pin_init!(Self {
            _misc <- MiscRegistration::register(c"rust_mm_pages", hook, ()),
        })
    }
}
