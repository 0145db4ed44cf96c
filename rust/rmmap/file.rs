// SPDX-License-Identifier: GPL-2.0

//! The files: `/dev/rmmap` and the descriptors of created regions.

use crate::{
    ioctl,
    open_region::OpenRegion,
    region::{
        Kind,
        Region,
        RegionRef, //
    },
    stats::COUNTED,
    trace,
    vm::RegionVm, //
};
use kernel::{
    fs::File,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    page::PAGE_SIZE,
    prelude::*,
    seq_file::{
        seq_print,
        SeqFile, //
    },
    sync::aref::ARef, //
};
use kernel_mm::{
    cache::inode::{
        Inode,
        InodeData, //
    },
    context::Unlocked,
    file::{
        allocate::{
            self,
            Size, //
        },
        ops::{
            FileKiocb,
            FileOperations,
            GenericOps,
            OpenInode,
            OpenMisc,
            Opened, //
        },
        rw::{
            self,
            Growth, //
        }, //
    },
    vm::{
        new_vma::NewVma,
        vm_area_desc::VmAreaDesc, //
    }, //
};

/// The operations of a file of a region.
pub(crate) struct RegionFile;

#[vtable]
impl FileOperations for RegionFile {
    type Data = OpenRegion;
    type Vm = RegionVm;

    const GENERIC: GenericOps = GenericOps {
        llseek: true,
        fsync: true,
        splice_read: true,
        splice_write: true,
        thp_unmapped_area: true,
    };

    fn mmap(_file: &File, vma: NewVma<'_, RegionVm>) -> Result {
        let region = vma.file_data();
        let result = may_map(region, vma.pgoff(), vma.pages());
        let result = result.and_then(|()| match vma.is_shared() && is_sealed(region) {
            true => vma.deny_write(),
            false => Ok(()),
        });
        trace::mmap(region.ino(), &vma, result)
    }

    fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, RegionVm>) -> Result {
        let region = desc.file_data();
        let result = may_map(region, desc.pgoff(), desc.pages());
        let result = result.and_then(|()| match desc.is_shared() && is_sealed(region) {
            true => desc.deny_write(),
            false => Ok(()),
        });
        trace::mmap_prepare(region.ino(), desc, result)
    }

    fn read_iter(mut kiocb: FileKiocb<'_, OpenRegion>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        let state = kiocb.file();
        rw::read_iter(state, &mut kiocb, iov)
    }

    fn write_iter(
        mut kiocb: FileKiocb<'_, OpenRegion>,
        iov: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let state = kiocb.file();
        let region: &RegionRef = state;
        let growth = match region.kind {
            Kind::Device => Growth::Fixed,
            Kind::Created => Growth::Grows,
        };
        rw::write_iter(region, &mut kiocb, iov, growth, region.inode_data())
    }

    fn ioctl(
        region: &OpenRegion,
        file: &File,
        unlocked: &mut Unlocked,
        cmd: u32,
        arg: usize,
    ) -> Result<isize> {
        ioctl::ioctl::<Self>(region, file, unlocked, cmd, arg)
    }

    fn allocate(
        region: &OpenRegion,
        file: &File,
        unlocked: &mut Unlocked,
        offset: u64,
        len: u64,
        size: Size,
    ) -> Result {
        let guard = region.lock(unlocked);
        allocate::allocate(&guard, offset, len, size, region.inode_data())?;
        guard.file_modified(file)
    }

    fn punch_hole(
        region: &OpenRegion,
        file: &File,
        unlocked: &mut Unlocked,
        offset: u64,
        len: u64,
    ) -> Result {
        let guard = region.lock(unlocked);
        guard.punch_hole(offset, len)?;
        guard.file_modified(file)
    }

    fn show_fdinfo(region: &OpenRegion, m: &SeqFile) {
        let mapping = region.mapping();
        seq_print!(m, "rmmap-size:\t{}\n", mapping.size());
        seq_print!(m, "rmmap-resident:\t{}\n", mapping.nr_pages() * PAGE_SIZE);
        if !COUNTED {
            seq_print!(m, "rmmap-statistics:\tcompiled out\n");
            return;
        }
        let counters = region.counters.read();
        seq_print!(m, "rmmap-mmap:\t{}\n", counters.mmap);
        seq_print!(m, "rmmap-fault-read:\t{}\n", counters.fault_read);
        seq_print!(m, "rmmap-fault-write:\t{}\n", counters.fault_write);
        seq_print!(m, "rmmap-fault-cow:\t{}\n", counters.fault_cow);
        seq_print!(m, "rmmap-fault-populate:\t{}\n", counters.fault_populate);
        seq_print!(m, "rmmap-folios:\t");
        for folios in counters.folios {
            seq_print!(m, " {}", folios);
        }
        seq_print!(m, "\n");
    }
}

impl OpenMisc for RegionFile {
    type Context = RegionRef;

    fn open(own: &RegionRef) -> Result<Opened<OpenRegion>> {
        Ok(Opened::onto(OpenRegion::new(own.clone()), own.clone()))
    }
}

impl OpenInode for RegionFile {
    type Inode = Region;

    fn open(inode: &Inode<Region>) -> Result<OpenRegion> {
        Ok(OpenRegion::new(ARef::from(inode)))
    }
}

/// Returns whether a seal forbids writes through new mappings.
fn is_sealed(region: &Region) -> bool {
    region.seals().is_some_and(|seals| seals.denies_store())
}

/// Checks whether `pages` pages of `region` may be mapped from page `pgoff` on.
///
/// The device's own region never grows: a range past its end is invalid (`ENXIO`). A created region
/// may grow after it is mapped; an access past EOF gets `SIGBUS`, as in every file. The core allows
/// offsets up to 2^64 bytes, so the sum may overflow.
fn may_map(region: &Region, pgoff: usize, pages: usize) -> Result {
    region.count_mmap(pages);
    let capacity = region.device.limits.capacity / PAGE_SIZE as u64;
    match pgoff.checked_add(pages) {
        Some(end) if end as u64 <= capacity => Ok(()),
        _ if region.kind == Kind::Created => Ok(()),
        _ => Err(ENXIO),
    }
}
