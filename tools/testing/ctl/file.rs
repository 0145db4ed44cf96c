// SPDX-License-Identifier: GPL-2.0

//! The files: the hooks of mmap(2), and read(2) for the counters.

use crate::{
    ctl::{
        Ctl,
        SLOW_SECONDS, //
    },
    device::{
        Call,
        Device, //
    },
    vm::{
        Around,
        CtlVm,
        OwnPages, //
    }, //
};
use core::marker::PhantomData;
use kernel::{
    fs::File,
    iov::IovIterDest,
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};
use kernel_mm::{
    file::ops::{
        FileKiocb,
        FileOperations,
        OpenMisc,
        Opened,
        Placement, //
    },
    vm::{
        new_vma::NewVma,
        vm_area_desc::VmAreaDesc, //
    }, //
};

type Data = Arc<Device>;

/// The options of a type of file.
pub(crate) trait Options: 'static {
    /// As in [`FileOperations`].
    const MMAP_SYNC: bool = false;
    /// As in [`FileOperations`].
    const UNSIGNED_OFFSET: bool = false;
}

/// No option.
pub(crate) struct Usual;
/// Files with `FOP_MMAP_SYNC`.
pub(crate) struct MmapSync;
/// Files with `FOP_UNSIGNED_OFFSET`.
pub(crate) struct UnsignedOffset;

impl Options for Usual {}

impl Options for MmapSync {
    const MMAP_SYNC: bool = true;
}

impl Options for UnsignedOffset {
    const UNSIGNED_OFFSET: bool = true;
}

/// Files with mappings of type `V`; the device decides the behaviour of the hook.
pub(crate) struct CtlFile<V, O = Usual>(PhantomData<(V, O)>);

#[vtable]
impl<V: CtlVm, O: Options> FileOperations for CtlFile<V, O> {
    type Data = Data;
    type Vm = V;

    const MMAP_SYNC: bool = O::MMAP_SYNC;
    const UNSIGNED_OFFSET: bool = O::UNSIGNED_OFFSET;

    fn mmap(_file: &File, vma: NewVma<'_, V>) -> Result {
        let device = vma.file_data();
        device.counts.count(Call::Hook);
        match device.ctl {
            Ctl::Fail => return Err(EIO),
            Ctl::Dump => vma.set_dontdump(),
            Ctl::Io => vma.set_io(),
            Ctl::DontExpand => vma.set_dontexpand(),
            Ctl::Slow => fsleep(Delta::from_secs(SLOW_SECONDS)),
            _ => {}
        }
        Ok(())
    }

    fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, V>) -> Result {
        let device = desc.file_data();
        device.counts.count(Call::Hook);
        match device.ctl {
            Ctl::Fail => return Err(EIO),
            Ctl::Dump => desc.set_dontdump(),
            _ => {}
        }
        Ok(())
    }

    fn read_iter(kiocb: FileKiocb<'_, Data>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        read(kiocb, iov)
    }

    fn release(device: &Data) {
        device.counts.count(Call::Release);
    }
}

impl<V: CtlVm, O: Options> OpenMisc for CtlFile<V, O> {
    type Context = Data;

    fn open(device: &Data) -> Result<Opened<Data>> {
        open(device)
    }
}

/// Files whose hook maps a page and then fails with `ENXIO`.
pub(crate) struct LateFile;

#[vtable]
impl FileOperations for LateFile {
    type Data = Data;
    type Vm = OwnPages;

    fn mmap(_file: &File, vma: NewVma<'_, OwnPages>) -> Result {
        let device = vma.file_data();
        device.counts.count(Call::Hook);
        vma.insert_pages(vma.start(), &device.page)?;
        Err(ENXIO)
    }

    fn read_iter(kiocb: FileKiocb<'_, Data>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        read(kiocb, iov)
    }
}

impl OpenMisc for LateFile {
    type Context = Data;

    fn open(device: &Data) -> Result<Opened<Data>> {
        open(device)
    }
}

/// Files that refuse every address with `EBUSY`.
pub(crate) struct PlacedFile;

#[vtable]
impl FileOperations for PlacedFile {
    type Data = Data;
    type Vm = Around;

    fn mmap(_file: &File, vma: NewVma<'_, Around>) -> Result {
        vma.file_data().counts.count(Call::Hook);
        Ok(())
    }

    fn get_unmapped_area(_device: &Data, _place: Placement<'_>) -> Result<usize> {
        Err(EBUSY)
    }

    fn read_iter(kiocb: FileKiocb<'_, Data>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        read(kiocb, iov)
    }
}

impl OpenMisc for PlacedFile {
    type Context = Data;

    fn open(device: &Data) -> Result<Opened<Data>> {
        open(device)
    }
}

/// Files without a hook.
pub(crate) struct NoHookFile;

#[vtable]
impl FileOperations for NoHookFile {
    type Data = Data;
    type Vm = Around;

    fn read_iter(kiocb: FileKiocb<'_, Data>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        read(kiocb, iov)
    }
}

impl OpenMisc for NoHookFile {
    type Context = Data;

    fn open(device: &Data) -> Result<Opened<Data>> {
        open(device)
    }
}

fn open(device: &Data) -> Result<Opened<Data>> {
    Ok(Opened::onto(device.clone(), device.memory.clone()))
}

fn read(mut kiocb: FileKiocb<'_, Data>, iov: &mut IovIterDest<'_>) -> Result<usize> {
    let device: &Data = kiocb.file();
    let report = device.report()?;
    iov.simple_read_from_buffer(kiocb.ki_pos_mut(), &report)
}
