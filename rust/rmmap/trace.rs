// SPDX-License-Identifier: GPL-2.0

//! The tracepoints `rmmap:*`, which `rmmap_trace.h` defines.
//!
//! Each costs a `nop` while it is disabled; its arguments are computed only while it is enabled. A
//! region is named by its inode number `ino`.

use crate::stats::Outcome;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use kernel_mm::vm::{
    fault::{
        Answer,
        VmFault, //
    },
    map_pages::MapPages,
    new_vma::NewVma,
    ops::VmOperations,
    vm_area_desc::VmAreaDesc,
    vma::Plain, //
};

mod event {
    kernel_mm::tracepoints! {
        /// The hook for mmap(2) was called.
        pub(super) fn mmap(
            ino: u64, address: u64, len: u64, pgoff: u64, vm_flags: u64, prepare: u32, ret: u32,
        );
        /// The handler answers an access.
        pub(super) fn fault(
            ino: u64, address: u64, pgoff: u64, flags: u32, cow: u32, answer: u32, order: u32,
        );
        /// The handler answers a fault of `get_user_pages()`.
        pub(super) fn populate(
            ino: u64, address: u64, pgoff: u64, flags: u32, cow: u32, answer: u32, order: u32,
        );
        /// The core asked for resident neighbours.
        pub(super) fn map_pages(address: u64, first: u64, last: u64, mapped: u32);
        /// The size of a region was set.
        pub(super) fn truncate(ino: u64, from: u64, to: u64, freed: u64);
        /// A range was freed.
        pub(super) fn discard(ino: u64, offset: u64, len: u64, freed: u64);
        /// A region was created.
        pub(super) fn create(ino: u64, size: u64, flags: u32);
    }
}

/// Traces that the `mmap` hook returns `result`, and returns it.
pub(crate) fn mmap<V: VmOperations>(ino: u64, vma: &NewVma<'_, V>, result: Result) -> Result {
    event::mmap(|| {
        (
            ino,
            vma.start() as u64,
            (vma.pages() * PAGE_SIZE) as u64,
            vma.pgoff() as u64,
            vma.flags() as u64,
            0,
            errno(result),
        )
    });
    result
}

/// Traces that the `mmap_prepare` hook returns `result`, and returns it.
pub(crate) fn mmap_prepare<V: VmOperations>(
    ino: u64,
    desc: &VmAreaDesc<'_, V>,
    result: Result,
) -> Result {
    event::mmap(|| {
        (
            ino,
            desc.start() as u64,
            (desc.pages() * PAGE_SIZE) as u64,
            desc.pgoff() as u64,
            desc.flags() as u64,
            1,
            errno(result),
        )
    });
    result
}

fn errno(result: Result) -> u32 {
    result.map_or_else(Error::to_errno, |()| 0) as u32
}

/// Traces the outcome of a fault, with the order of the folio that answers it, or 0.
#[inline(always)]
pub(crate) fn fault<V: VmOperations>(ino: u64, vmf: &VmFault<'_, V>, outcome: Outcome, order: u32) {
    let arguments = || {
        (
            ino,
            vmf.address() as u64,
            vmf.pgoff() as u64,
            vmf.flags(),
            u32::from(vmf.is_cow()),
            outcome as u32,
            order,
        )
    };
    if vmf.is_access() {
        event::fault(arguments);
    } else {
        event::populate(arguments);
    }
}

/// Maps the resident neighbours of a page, and traces it.
#[inline(always)]
pub(crate) fn map_pages<'a, V: VmOperations<Kind = Plain>>(pages: MapPages<'a, V>) -> Answer<'a> {
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

/// Traces that the size of a region was set from `from` to `to` bytes, which freed `freed` pages.
pub(crate) fn truncate(ino: u64, from: u64, to: u64, freed: usize) {
    event::truncate(|| (ino, from, to, freed as u64));
}

/// Traces that a hole of `len` bytes was punched at byte `offset`, which freed `freed` pages.
pub(crate) fn discard(ino: u64, offset: u64, len: u64, freed: usize) {
    event::discard(|| (ino, offset, len, freed as u64));
}

/// Traces that a region of `size` bytes was created.
pub(crate) fn create(ino: u64, size: u64, flags: u32) {
    event::create(|| (ino, size, flags));
}
