// SPDX-License-Identifier: GPL-2.0

//! The mappings. The operations of a VMA decide how the core treats it, so each set of operations
//! is a type of its own.

use crate::{
    ctl::{
        Ctl,
        GOOD_PAGES, //
    },
    device::{
        Call,
        Counts,
        Device, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_mm::{
    cache::{
        address_space::AddressSpace,
        insert::{
            FolioRange,
            Found,
            Unlimited, //
        },
        zero_page::ZeroPage, //
    },
    testing::done_without_copy,
    vm::{
        fault::{
            Answer,
            VmFault, //
        },
        map_pages::MapPages,
        ops::{
            Mapped,
            VmOperations, //
        },
        vma::{
            Mixed,
            OwnVma,
            Pfn,
            Plain, //
        }, //
    }, //
};

type Data = Arc<Device>;

/// The operations of a mapping of a device.
pub(crate) trait CtlVm: VmOperations<Data = Data, Private = ()> {}

impl<V: VmOperations<Data = Data, Private = ()>> CtlVm for V {}

/// Counts a fault.
fn count<V: CtlVm>(vmf: &VmFault<'_, V>) {
    let counts = &vmf.data().counts;
    counts.count(Call::Fault);
    if vmf.is_write() {
        counts.count(Call::FaultWrite);
    }
}

/// Answers a fault with the page from the page cache, and adds the page if it is missing. With
/// `retry` the fault that adds it is answered with `VM_FAULT_RETRY`.
fn answer<V: CtlVm<Kind = Plain>>(vmf: VmFault<'_, V>, retry: bool) -> Answer<'_> {
    let mapping = vmf.data().memory.mapping();
    let held = vmf.invalidate_lock_shared(mapping);
    if vmf.pgoff() >= mapping.size_pages() {
        return vmf.sigbus();
    }
    let room = FolioRange::page(vmf.pgoff());
    match AddressSpace::find_or_add(&held, vmf.pgoff(), &room, &Unlimited) {
        Ok(Found::Added { folio, .. }) if retry => match vmf.retry() {
            Ok(answer) => answer,
            Err(vmf) => vmf.locked(folio),
        },
        Ok(found) => vmf.locked(found.into_folio()),
        Err(_) => vmf.no_memory(),
    }
}

/// Mappings like rmmap's own.
pub(crate) struct Around;

#[vtable]
impl VmOperations for Around {
    type Data = Data;
    type Private = ();
    type Kind = Plain;
    type Atomic = Counts;

    fn atomic(device: &Data) -> &Counts {
        &device.counts
    }

    fn open(vma: &OwnVma<Self>) {
        vma.data().counts.count(Call::Open);
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        count(&vmf);
        answer(vmf, false)
    }

    fn map_pages(pages: MapPages<'_, Self>) -> Answer<'_> {
        pages.atomic().count(Call::MapPages);
        pages.map_resident()
    }
}

/// Mappings of pages of the driver: each shows the one page that the device has.
pub(crate) struct OwnPages;

#[vtable]
impl VmOperations for OwnPages {
    type Data = Data;
    type Private = ();
    type Kind = Mixed;
    type Atomic = Counts;

    fn atomic(device: &Data) -> &Counts {
        &device.counts
    }

    fn open(vma: &OwnVma<Self>) {
        vma.data().counts.count(Call::Open);
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        count(&vmf);
        match vmf.vma().insert_pages(vmf.address(), &vmf.data().page) {
            // Another thread may have mapped it first.
            Err(error) if error != EBUSY => vmf.no_memory(),
            _ => vmf.nopage(),
        }
    }
}

/// Mappings without fault-around; the device decides the answers to faults.
pub(crate) struct NoAround;

#[vtable]
impl VmOperations for NoAround {
    type Data = Data;
    type Private = ();
    type Kind = Plain;
    type Atomic = Counts;

    fn atomic(device: &Data) -> &Counts {
        &device.counts
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        count(&vmf);
        let ctl = vmf.data().ctl;
        match ctl {
            Ctl::Half if vmf.pgoff() >= GOOD_PAGES => vmf.sigbus(),
            Ctl::NoMemory if vmf.pgoff() >= GOOD_PAGES => vmf.no_memory(),
            Ctl::Spin => match vmf.retry() {
                Ok(answer) => answer,
                Err(vmf) => answer(vmf, false),
            },
            Ctl::CowZero | Ctl::CowDone => match vmf.into_cow() {
                Ok(cow) if ctl == Ctl::CowDone => done_without_copy(cow),
                Ok(cow) => match ZeroPage::new() {
                    Ok(page) => cow.copy_of(page),
                    Err(_) => cow.into_fault().no_memory(),
                },
                Err(vmf) => answer(vmf, false),
            },
            _ => answer(vmf, ctl == Ctl::Retry),
        }
    }
}

/// Mappings with `close`.
pub(crate) struct Closing;

#[vtable]
impl VmOperations for Closing {
    type Data = Data;
    type Private = ();
    type Kind = Plain;
    type Atomic = Counts;

    fn atomic(device: &Data) -> &Counts {
        &device.counts
    }

    fn open(vma: &OwnVma<Self>) {
        vma.data().counts.count(Call::Open);
    }

    fn close(vma: &OwnVma<Self>) {
        vma.data().counts.count(Call::Close);
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        count(&vmf);
        answer(vmf, false)
    }
}

/// Mappings with `mapped`.
pub(crate) struct MappedCounts;

#[vtable]
impl VmOperations for MappedCounts {
    type Data = Data;
    type Private = ();
    type Kind = Plain;
    type Atomic = Counts;

    fn atomic(device: &Data) -> &Counts {
        &device.counts
    }

    fn mapped(device: &Data, _mapped: Mapped) -> Result {
        device.counts.count(Call::Mapped);
        match device.ctl {
            Ctl::Mapped => Err(ENOSPC),
            _ => Ok(()),
        }
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        count(&vmf);
        answer(vmf, false)
    }
}

/// Mappings of page frames: each page shows the one frame that the device has.
pub(crate) struct Frames;

#[vtable]
impl VmOperations for Frames {
    type Data = Data;
    type Private = ();
    type Kind = Pfn;
    type Atomic = Counts;

    fn atomic(device: &Data) -> &Counts {
        &device.counts
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        count(&vmf);
        let frame = &vmf.data().frame;
        vmf.insert_pfn(frame, 0)
    }
}

/// Mappings without any operation.
pub(crate) struct Bare;

#[vtable]
impl VmOperations for Bare {
    type Data = Data;
    type Private = ();
    type Kind = Plain;
    type Atomic = Counts;

    fn atomic(device: &Data) -> &Counts {
        &device.counts
    }
}
