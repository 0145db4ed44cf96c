// SPDX-License-Identifier: GPL-2.0

//! The mappings. A VMA's operations tell the core what it may do with it, so each set of them is a
//! type of its own.

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
        folio::ZeroPage,
        insert::{
            FolioRange,
            Found,
            Unlimited, //
        }, //
    },
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

/// All of them are mappings of a device.
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

/// Answers with the page of the page cache, which is made if it is missing; it is missing no more
/// when `retry` is asked for, and the answer then is to try again.
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

/// As rmmap's own.
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

/// Of pages of the driver's own: every page shows the one that the device has.
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
            // Another thread may have been faster.
            Err(error) if error != EBUSY => vmf.no_memory(),
            _ => vmf.nopage(),
        }
    }
}

/// Without fault-around; faults are answered as the device says.
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
                Ok(cow) if ctl == Ctl::CowDone => cow.done_without_copy(),
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

/// With `close`.
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

/// With `mapped`.
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

/// Of page frames: every page shows the one that the device has.
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

/// Without any operation.
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
