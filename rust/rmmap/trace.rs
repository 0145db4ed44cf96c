// SPDX-License-Identifier: GPL-2.0

//! The tracepoints `rmmap:*`, which `rmmap_trace.h` describes.
//!
//! Each costs a `nop` while nobody traces; what it carries is put together only when somebody does.

use crate::{
    region::{
        Region,
        RegionRef, //
    },
    vm::RegionVm, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use kernel_mm::{
    cache::inode::Inode,
    vm::{
        fault::{
            self,
            VmFault, //
        },
        map_pages::MapPages,
        vm_area_desc::VmAreaDesc,
        vma::NewVma, //
    }, //
};

mod event {
    kernel_mm::tracepoints! {
        /// The hook for mmap(2) was called.
        pub(super) fn mmap(
            ino: u64, address: u64, len: u64, pgoff: u64, vm_flags: u64, prepare: u32, ret: u32,
        );
        /// A touch has its answer.
        pub(super) fn fault(
            ino: u64, address: u64, pgoff: u64, flags: u32, cow: u32, answer: u32, order: u32,
        );
        /// A populating fault has its answer.
        pub(super) fn populate(
            ino: u64, address: u64, pgoff: u64, flags: u32, cow: u32, answer: u32, order: u32,
        );
        /// Resident neighbours were looked for.
        pub(super) fn map_pages(address: u64, first: u64, last: u64, mapped: u32);
        /// The size of a region was set.
        pub(super) fn truncate(ino: u64, from: u64, to: u64, freed: u64);
        /// A range was given back.
        pub(super) fn discard(ino: u64, offset: u64, len: u64, freed: u64);
        /// A region was made.
        pub(super) fn create(ino: u64, size: u64, flags: u32);
    }
}

/// How a fault was answered; `rmmap_trace.h` names the numbers.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Cached = 0,
    New = 1,
    Zero = 2,
    Sigbus = 3,
    Oom = 4,
}

impl Answer {
    /// What [`VmFault::no_memory`] says to this fault.
    pub(crate) fn no_memory(vmf: &VmFault<'_, RegionVm>) -> Self {
        match vmf.is_access() {
            true => Self::Sigbus,
            false => Self::Oom,
        }
    }
}

/// The `mmap` hook said `answer`, which is returned.
pub(crate) fn mmap(vma: &NewVma<'_, RegionVm>, answer: Result) -> Result {
    event::mmap(|| {
        (
            vma.file_data().ino(),
            vma.start() as u64,
            (vma.pages() * PAGE_SIZE) as u64,
            vma.pgoff() as u64,
            vma.flags() as u64,
            0,
            errno(answer),
        )
    });
    answer
}

/// The `mmap_prepare` hook said `answer`, which is returned.
pub(crate) fn mmap_prepare(desc: &VmAreaDesc<'_, RegionVm>, answer: Result) -> Result {
    event::mmap(|| {
        (
            desc.file_data().ino(),
            desc.start() as u64,
            (desc.pages() * PAGE_SIZE) as u64,
            desc.pgoff() as u64,
            desc.flags() as u64,
            1,
            errno(answer),
        )
    });
    answer
}

fn errno(answer: Result) -> u32 {
    answer.map_or_else(Error::to_errno, |()| 0) as u32
}

/// The fault handler gives `answer`, with a folio of 2^`order` pages if with any.
#[inline(always)]
pub(crate) fn fault(region: &RegionRef, vmf: &VmFault<'_, RegionVm>, answer: Answer, order: u32) {
    let arguments = || {
        (
            region.ino(),
            vmf.address() as u64,
            vmf.pgoff() as u64,
            vmf.flags(),
            u32::from(vmf.is_cow()),
            answer as u32,
            order,
        )
    };
    if vmf.is_access() {
        event::fault(arguments);
    } else {
        event::populate(arguments);
    }
}

/// The page is not there: a private write is going to be given the page of zeroes.
#[inline(always)]
pub(crate) fn zero_page(region: &RegionRef, vmf: &VmFault<'_, RegionVm>) {
    if vmf.is_cow() {
        fault(region, vmf, Answer::Zero, 0);
    }
}

/// Maps the neighbours that are resident, and tells of it.
#[inline(always)]
pub(crate) fn map_pages<'a>(pages: MapPages<'a, RegionVm>) -> fault::Answer<'a> {
    let address = pages.address() as u64;
    let (first, last) = pages.window();
    let answer = pages.map_resident();
    event::map_pages(|| {
        (
            address,
            first as u64,
            last as u64,
            answer.is_nopage().into(),
        )
    });
    answer
}

/// The size of a region was set.
pub(crate) fn truncate(inode: &Inode<Region>, from: u64, to: u64, freed: usize) {
    event::truncate(|| (inode.ino(), from, to, freed as u64));
}

/// A range of a region was given back.
pub(crate) fn discard(inode: &Inode<Region>, offset: u64, len: u64, freed: usize) {
    event::discard(|| (inode.ino(), offset, len, freed as u64));
}

/// A region was made.
pub(crate) fn create(inode: &Inode<Region>, size: u64, flags: u32) {
    event::create(|| (inode.ino(), size, flags));
}
