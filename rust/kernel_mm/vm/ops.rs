// SPDX-License-Identifier: GPL-2.0

//! What a driver does for its mappings: `struct vm_operations_struct`, all seventeen of it.
//!
//! | operation | here | lock held | may sleep |
//! |---|---|---|---|
//! | `open` | [`VmOperations::open`] | mmap write lock | yes |
//! | `close` | [`VmOperations::close`] | mmap lock; munmap(2) may downgrade it | yes |
//! | `mapped` | [`VmOperations::mapped`] | mmap write lock | yes |
//! | `may_split` | [`VmOperations::may_split`] | mmap write lock | yes |
//! | `mremap` | [`VmOperations::mremap`] | mmap write lock | yes |
//! | `mprotect` | [`VmOperations::mprotect`] | mmap write lock | yes |
//! | `fault` | [`VmOperations::fault`] | VMA or mmap read lock | yes |
//! | `huge_fault` | [`VmOperations::huge_fault`] | VMA or mmap read lock | yes |
//! | `map_pages` | [`VmOperations::map_pages`] | the same, under RCU | **no** |
//! | `page_mkwrite` | [`VmOperations::page_mkwrite`] | VMA or mmap read lock | yes |
//! | `pfn_mkwrite` | [`VmOperations::pfn_mkwrite`] | VMA or mmap read lock | yes |
//! | `pagesize` | [`VmOperations::PAGE_ORDER`] | mmap or VMA lock | no |
//! | `access` | [`VmOperations::access`] | mmap read lock | yes |
//! | `name` | [`VmOperations::name`] | mmap write lock | yes |
//! | `set_policy`, `get_policy` | refused | | |
//! | `uffd_ops` | [`VmOperations::USERFAULTFD`], write protection | | |
//!
//! # What is refused, and why
//!
//! - `set_policy` must keep a reference to the policy that it is given (include/linux/mm.h), and
//!   give it back with `mpol_put()`, that is `__mpol_put()`, which modules other than kvm cannot
//!   call: `EXPORT_SYMBOL_FOR_MODULES(__mpol_put, "kvm")` in mm/mempolicy.c. Without `set_policy`
//!   there is nothing for `get_policy` to return. mbind(2) works on the VMA's own policy all the
//!   same.
//! - Of `uffd_ops`, resolving missing and minor faults: the events are delivered by
//!   `handle_userfault()`, which mm/userfaultfd.c does not export, so that userspace would wait for
//!   events that never come. Write protection is done by the core alone, and is offered.
//! - `find_normal_page`, which is not one of the seventeen: include/linux/mm.h says "Do not add new
//!   users".
//!
//! # Two styles of data
//!
//! - *Data of the file* ([`VmOperations::Data`], with `Private = ()`). VMAs can merge freely.
//! - *Data of the VMA* ([`VmOperations::Private`]), counted across fork, split and mremap. It needs
//!   `close`, and a VMA with `close` is never merged away (`can_merge_remove_vma()` in mm/vma.c): a
//!   hole that is filled leaves two VMAs instead of one, and mprotect(2) there and back three. A
//!   new mapping can still extend its left neighbour, and then has the neighbour's data and runs
//!   no `mapped` of its own: data of a VMA must not depend on its extent.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! Accesses of debuggers: `vm_operations_struct.access`.
//!
//! C source: `__access_remote_vm()` in [`mm/memory.c`](srctree/mm/memory.c)

use crate::{
    build_error,
    error::VTABLE_DEFAULT_ERROR,
    mm::{
        virt::vm_flags_t,
        vm::{
            fault::{
                Answer,
                VmFault, //
            },
            huge_fault::HugeFault,
            map_pages::MapPages,
            mkwrite::{
                MkwriteFault,
                PfnMkwriteFault, //
            },
            vma::{
                DriverVma,
                Kind,
                OwnVma, //
            }, //
        }, //
    },
    prelude::*, //
};
use core::ops::Range;

/// What happens in a mapping of a driver's file.
///
/// The table made of an implementation is put into a VMA by the hooks of a
/// [`FileOperations`](crate::mm::file::ops::FileOperations) whose `Vm` it is, and by nothing else.
/// So every call comes from a file that carries `Data`.
#[vtable]
pub trait VmOperations: Sized + 'static {
    /// The data of the files whose mappings these are.
    type Data: Send + Sync + 'static;

    /// The data of each VMA: what the `mmap` hook or [`VmOperations::mapped`] returns. `()` for
    /// none, which is what most drivers want: see the module's documentation for what it costs.
    type Private: Send + Sync + 'static;

    /// What may be put into the VMAs.
    type Kind: Kind;

    /// What operations that must not sleep may look at.
    type Atomic: Sync + 'static;

    /// The order of the pages that the VMA is said to have in `/proc/PID/smaps`
    /// (`KernelPageSize`), for drivers that map large units; 0 says nothing. An order above that of
    /// the largest page of a page table (`PUD_ORDER`) does not compile.
    const PAGE_ORDER: u32 = 0;

    /// May userfaultfd write-protect pages of the VMA?
    const USERFAULTFD: bool = false;

    /// Returns the part of `data` that operations which must not sleep get to see.
    fn atomic(data: &Self::Data) -> &Self::Atomic;

    /// A copy of a VMA was made, by fork(2), a split or mremap(2). Not called for mmap(2).
    fn open(_vma: &OwnVma<Self>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The VMA is about to go. Its pages are out of the page table already.
    fn close(_vma: &OwnVma<Self>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A mapping made by [`Hook::MmapPrepare`](crate::mm::file::ops::Hook::MmapPrepare) got a VMA
    /// of its own: this is where references are taken, and the data of the VMA is made. Not called
    /// when the mapping merged with a neighbour.
    ///
    /// # Errors
    ///
    /// The VMA is unmapped again, and mmap(2) fails with the error.
    fn mapped(_data: &Self::Data, _mapped: Mapped) -> Result<Self::Private> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The VMA is about to be split at `address`.
    ///
    /// # Errors
    ///
    /// The system call that wanted it fails with the error.
    fn may_split(_vma: &DriverVma<Self>, _address: usize) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The VMA is at its new place after mremap(2).
    ///
    /// # Errors
    ///
    /// The move is undone, and mremap(2) fails with the error.
    fn mremap(_vma: &DriverVma<Self>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// mprotect(2) is about to give the addresses of `range` the flags `flags` (`VM_*`).
    ///
    /// # Errors
    ///
    /// mprotect(2) fails with the error.
    fn mprotect(_vma: &DriverVma<Self>, _range: Range<usize>, _flags: vm_flags_t) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A page of the mapping was accessed that the page table does not have.
    fn fault(_vmf: VmFault<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// As [`VmOperations::fault`], asked before it for a huge page.
    fn huge_fault(_vmf: HugeFault<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Pages around an address are wanted if they are resident: map them without waiting.
    ///
    /// With this operation faults may run under the VMA's lock (`vmf_can_call_fault()`).
    fn map_pages(_pages: MapPages<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A page that was mapped for reading is about to be written through a shared mapping.
    ///
    /// With this operation, page faults map pages read-only first, so that each first store is
    /// seen. Pages that a hook has put in are not announced. The page must be of the file's page
    /// cache: the store to any other is repeated for ever.
    fn page_mkwrite(_vmf: MkwriteFault<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// As [`VmOperations::page_mkwrite`], for page frames without a `struct page`.
    fn pfn_mkwrite(_vmf: PfnMkwriteFault<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A debugger, or `/proc/PID/mem`, wants to read or write at `address`, where
    /// `get_user_pages()` failed, as it does for [`Pfn`](crate::mm::vm::vma::Pfn) VMAs. Returns the
    /// number of bytes.
    ///
    /// # Errors
    ///
    /// The access fails.
    fn access(_vma: &DriverVma<Self>, _address: usize, _access: Access<'_>) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Returns a name for the VMA.
    ///
    /// `/proc/PID/maps` and perf ask only VMAs without a file (`get_vma_name()` in
    /// fs/proc/task_mmu.c), which a driver's never are. What is left is `always_dump_vma()` in
    /// fs/coredump.c: a VMA with this operation is in every core dump, whatever
    /// `set_dontdump()`, its kind or `coredump_filter` say.
    fn name(_atomic: &Self::Atomic) -> &'static CStr {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// A mapping that just got its VMA.
#[derive(Clone, Copy)]
pub struct Mapped {
    /// First address.
    pub start: usize,
    /// Address after the last.
    pub end: usize,
    /// Offset of the first page within the file, in pages.
    pub pgoff: usize,
}

/// What a debugger wants of a range of bytes.
pub enum Access<'a> {
    /// To read them: fill the buffer, which holds zeroes.
    Read(&'a mut [u8]),
    /// To write these.
    Write(&'a [u8]),
}

impl Access<'_> {
    /// Returns the number of bytes that are wanted.
    pub fn len(&self) -> usize {
        match self {
            Access::Read(buffer) => buffer.len(),
            Access::Write(bytes) => bytes.len(),
        }
    }

    /// Returns whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Wraps the buffer of the core.
    ///
    /// # Safety
    ///
    /// `buf` is valid for reads and writes of `len` bytes for `'a`, and nobody else uses it; when
    /// `write` is set, the bytes are initialised.
    pub(crate) unsafe fn from_raw(buf: *mut u8, len: usize, write: bool) -> Self {
        if write {
            // SAFETY: By the contract of this function.
            Access::Write(unsafe { core::slice::from_raw_parts(buf, len) })
        } else {
            // A driver that fills less than it says must not reveal what was there before.
            // SAFETY: By the contract of this function.
            unsafe { buf.write_bytes(0, len) };
            // SAFETY: By the contract of this function; the bytes were just initialised.
            Access::Read(unsafe { core::slice::from_raw_parts_mut(buf, len) })
        }
    }
}
