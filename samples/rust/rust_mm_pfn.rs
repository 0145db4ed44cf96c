// SPDX-License-Identifier: GPL-2.0

//! A device that maps page frames, like a device's registers: `/dev/rust_mm_pfn`.
//!
//! Four contiguous pages stand for the device's memory. `get_user_pages()` does not support such
//! mappings, so debuggers need `access`.

#![forbid(unsafe_code)]

use kernel::{
    fs::File,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
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
        fault::{
            Answer,
            VmFault, //
        },
        new_vma::NewVma,
        ops::{
            Access,
            VmOperations, //
        },
        pages::PageBlock,
        vm_area_desc::VmAreaDesc,
        vma::{
            DriverVma,
            Pfn, //
        }, //
    }, //
};

module! {
    type: Frames,
    name: "rust_mm_pfn",
    authors: ["rmmap developers"],
    description: "Sample: a device that is mapped by page frame",
    license: "GPL",
    params: {
        prepare: u8 {
            default: 1,
            description: "Map all frames by mmap_prepare's action; otherwise each on first touch",
        },
    },
}

/// The device's memory is 2^ORDER pages.
const ORDER: u32 = 2;

/// An open file.
struct PfnFile;

#[vtable]
impl FileOperations for PfnFile {
    type Data = Arc<PageBlock>;
    type Vm = PfnVm;

    // Maps nothing yet: `fault` does.
    fn mmap(_file: &File, vma: NewVma<'_, PfnVm>) -> Result {
        check(vma.file_data(), vma.is_shared(), vma.pgoff(), vma.pages())
    }

    // Maps all frames before mmap(2) returns.
    fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, PfnVm>) -> Result {
        check(
            desc.file_data(),
            desc.is_shared(),
            desc.pgoff(),
            desc.pages(),
        )?;
        desc.remap_simple(desc.file_data())
    }
}

fn check(block: &PageBlock, shared: bool, pgoff: usize, pages: usize) -> Result {
    // Page frames of a device cannot be copied on write.
    if !shared {
        return Err(EINVAL);
    }
    match pgoff.checked_add(pages) {
        Some(end) if end <= block.pages() => Ok(()),
        _ => Err(ENXIO),
    }
}

impl OpenMisc for PfnFile {
    type Context = Arc<PageBlock>;

    fn open(block: &Arc<PageBlock>) -> Result<Opened<Arc<PageBlock>>> {
        Ok(Opened::new(block.clone()))
    }
}

/// Its mappings.
struct PfnVm;

#[vtable]
impl VmOperations for PfnVm {
    type Data = Arc<PageBlock>;
    type Private = ();
    type Kind = Pfn;
    type Atomic = PageBlock;

    fn atomic(block: &Arc<PageBlock>) -> &PageBlock {
        block
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        let (block, index) = (vmf.data(), vmf.pgoff());
        vmf.insert_pfn(block, index)
    }

    fn access(vma: &DriverVma<Self>, address: usize, access: Access<'_>) -> Result<usize> {
        let offset = vma.pgoff() * PAGE_SIZE + (address - vma.start());
        let len = access.len();
        match access {
            Access::Read(buffer) => vma.data().read(offset, buffer)?,
            Access::Write(bytes) => vma.data().write(offset, bytes)?,
        }
        Ok(len)
    }
}

/// The module.
#[pin_data]
struct Frames {
    #[pin]
    _misc: MiscRegistration<PfnFile>,
}

impl kernel::InPlaceModule for Frames {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let hook = if module_parameters::prepare.value().eq(&0) {
                Hook::Mmap
            } else {
                Hook::MmapPrepare
            };
            let block = PageBlock::new(ORDER)?;
            for page in 0..block.pages() {
                block.write(page * PAGE_SIZE, &[b'f', b'0' + page as u8])?;
            }
            let block = Arc::new(block, GFP_KERNEL)?;
            Ok(try_pin_init!(Self {
                _misc <- MiscRegistration::register(c"rust_mm_pfn", hook, block),
            }))
        })
    }
}
