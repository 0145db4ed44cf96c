// SPDX-License-Identifier: GPL-2.0

//! A device that counts every operation on its mappings: `/dev/rust_mm_ops`.
//!
//! The device shows the operations of `kernel_mm`, with data for each VMA, and tests use it to
//! check that the kernel calls them. read(2) returns a line `NAME COUNT` for each. `vmas` is the
//! number of VMAs, `data` the number of data objects that they share: one for each mmap(2),
//! whatever has become of its VMA. Both are 0 when everything is unmapped.

#![forbid(unsafe_code)]

use core::ops::Range;
use kernel::{
    fs::File,
    iov::IovIterDest,
    mm::virt::vm_flags_t,
    page::PAGE_SIZE,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use kernel_mm::{
    file::{
        miscdevice::MiscRegistration,
        ops::{
            FileKiocb,
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
        huge_fault::HugeFault,
        map_pages::MapPages,
        mkwrite::PfnMkwriteFault,
        new_vma::NewVma,
        ops::{
            Access,
            Mapped,
            VmOperations, //
        },
        pages::PageBlock,
        vm_area_desc::VmAreaDesc,
        vma::{
            DriverVma,
            OwnVma,
            Pfn, //
        }, //
    }, //
};

module! {
    type: Ops,
    name: "rust_mm_ops",
    authors: ["rmmap developers"],
    description: "Sample: a device that counts every operation on its mappings",
    license: "GPL",
    params: {
        prepare: u8 {
            default: 1,
            description: "Map by mmap_prepare instead of mmap",
        },
    },
}

/// The operations, in the order of the counters.
const NAMES: [&str; 15] = [
    "open",
    "close",
    "mapped",
    "may_split",
    "mremap",
    "mprotect",
    "fault",
    "huge_fault",
    "map_pages",
    "pfn_mkwrite",
    "access",
    "name",
    "mmap",
    "vmas",
    "data",
];

/// The state that all open files share.
struct Device {
    counts: [Atomic<i64>; NAMES.len()],
    page: PageBlock,
}

impl Device {
    fn add(&self, name: &str, n: i64) {
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            self.counts[index].add(n, Relaxed);
        }
    }

    fn count(&self, name: &str) {
        self.add(name, 1);
    }
}

/// The data of a VMA, which fork, split and mremap share with the new VMA.
struct Private(Arc<Device>);

impl Private {
    fn new(device: &Arc<Device>) -> Self {
        device.add("data", 1);
        Self(device.clone())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.0.add("data", -1);
    }
}

/// An open file.
struct OpsFile;

#[vtable]
impl FileOperations for OpsFile {
    type Data = Arc<Device>;
    type Vm = OpsVm;

    fn mmap(_file: &File, vma: NewVma<'_, OpsVm>) -> Result<Private> {
        vma.file_data().count("mmap");
        vma.file_data().add("vmas", 1);
        Ok(Private::new(vma.file_data()))
    }

    fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, OpsVm>) -> Result {
        desc.file_data().count("mmap");
        Ok(())
    }

    fn read_iter(
        mut kiocb: FileKiocb<'_, Arc<Device>>,
        iov: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let device: &Arc<Device> = kiocb.file();
        let mut report = KVec::new();
        for (name, count) in NAMES.iter().zip(&device.counts) {
            let line = CString::try_from_fmt(fmt!("{name} {}\n", count.load(Relaxed)))?;
            report.extend_from_slice(line.to_bytes(), GFP_KERNEL)?;
        }
        iov.simple_read_from_buffer(kiocb.ki_pos_mut(), &report)
    }
}

impl OpenMisc for OpsFile {
    type Context = Arc<Device>;

    fn open(device: &Arc<Device>) -> Result<Opened<Arc<Device>>> {
        Ok(Opened::new(device.clone()))
    }
}

/// Its mappings: every address maps the same page.
struct OpsVm;

#[vtable]
impl VmOperations for OpsVm {
    type Data = Arc<Device>;
    type Private = Private;
    type Kind = Pfn;
    type Atomic = Device;

    // `/proc/PID/smaps` shows KernelPageSize: 16 kB, with pages of 16 KiB 64 kB.
    const PAGE_ORDER: u32 = 2;

    fn atomic(device: &Arc<Device>) -> &Device {
        device
    }

    fn open(vma: &OwnVma<Self>) {
        vma.data().count("open");
        vma.data().add("vmas", 1);
    }

    fn close(vma: &OwnVma<Self>) {
        vma.data().count("close");
        vma.data().add("vmas", -1);
    }

    fn mapped(device: &Arc<Device>, _mapped: Mapped) -> Result<Private> {
        device.count("mapped");
        device.add("vmas", 1);
        Ok(Private::new(device))
    }

    fn may_split(vma: &DriverVma<Self>, _address: usize) -> Result {
        vma.data().count("may_split");
        Ok(())
    }

    fn mremap(vma: &DriverVma<Self>) -> Result {
        vma.data().count("mremap");
        Ok(())
    }

    fn mprotect(vma: &DriverVma<Self>, range: Range<usize>, _flags: vm_flags_t) -> Result {
        vma.data().count("mprotect");
        // Zap the pages, so that the next access faults.
        vma.zap(range.start, range.len())
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        vmf.data().count("fault");
        let page = &vmf.data().page;
        vmf.insert_pfn(page, 0)
    }

    fn huge_fault(vmf: HugeFault<'_, Self>) -> Answer<'_> {
        vmf.data().count("huge_fault");
        vmf.fallback()
    }

    fn map_pages(pages: MapPages<'_, Self>) -> Answer<'_> {
        pages.atomic().count("map_pages");
        pages.nothing()
    }

    fn pfn_mkwrite(vmf: PfnMkwriteFault<'_, Self>) -> Answer<'_> {
        vmf.data().count("pfn_mkwrite");
        vmf.allow()
    }

    fn access(vma: &DriverVma<Self>, address: usize, access: Access<'_>) -> Result<usize> {
        vma.data().count("access");
        let offset = (address - vma.start()) % PAGE_SIZE;
        let len = access.len().min(PAGE_SIZE - offset);
        match access {
            Access::Read(buffer) => vma.data().page.read(offset, &mut buffer[..len])?,
            Access::Write(bytes) => vma.data().page.write(offset, &bytes[..len])?,
        }
        Ok(len)
    }

    fn name(device: &Device) -> &'static CStr {
        device.count("name");
        c"[rust_mm_ops]"
    }
}

/// The module.
#[pin_data]
struct Ops {
    #[pin]
    _misc: MiscRegistration<OpsFile>,
}

impl kernel::InPlaceModule for Ops {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let hook = if module_parameters::prepare.value().eq(&0) {
                Hook::Mmap
            } else {
                Hook::MmapPrepare
            };
            let device = Device {
                counts: core::array::from_fn(|_| Atomic::new(0)),
                page: PageBlock::new(0)?,
            };
            let device = Arc::new(device, GFP_KERNEL)?;
            Ok(try_pin_init!(Self {
                _misc <- MiscRegistration::register(c"rust_mm_ops", hook, device),
            }))
        })
    }
}
