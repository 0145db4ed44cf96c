// SPDX-License-Identifier: GPL-2.0

//! The operations of a driver's mappings: all seventeen of `struct vm_operations_struct`.
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
//! | `set_policy`, `get_policy` | not supported | | |
//! | `uffd_ops` | [`VmOperations::USERFAULTFD`], write protection | | |
//!
//! # Operations that are not supported
//!
//! - `set_policy` must hold a reference to the policy that the core passes (include/linux/mm.h),
//!   and drop it with `mpol_put()`, that is `__mpol_put()`, which modules other than kvm cannot
//!   call: `EXPORT_SYMBOL_FOR_MODULES(__mpol_put, "kvm")` in mm/mempolicy.c. Without `set_policy`,
//!   `get_policy` has nothing to return. mbind(2) still works, on the VMA's own policy.
//! - The missing and minor faults of `uffd_ops`: `handle_userfault()`, which mm/userfaultfd.c does
//!   not export, delivers their events, so userspace would wait for events that never arrive. Write
//!   protection needs only the core, and is supported.
//! - `find_normal_page`, which is not one of the seventeen: include/linux/mm.h says "Do not add new
//!   users".
//!
//! # Two styles of data
//!
//! - *Data of the file* ([`VmOperations::Data`], with `Private = ()`). VMAs can merge freely.
//! - *Data of the VMA* ([`VmOperations::Private`]), reference-counted across fork, split and
//!   mremap. It needs `close`, and the core never merges away a VMA with `close`
//!   (`can_merge_remove_vma()` in mm/vma.c): filling a hole leaves two VMAs instead of one, and
//!   changing a part with mprotect(2) and changing it back leaves three. A new mapping can still
//!   extend its left neighbour. It then has the neighbour's data, and no `mapped` call of its own:
//!   data of a VMA must not depend on its extent.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h); C source for `access`:
//! `__access_remote_vm()` in [`mm/memory.c`](srctree/mm/memory.c)

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

/// The operations of the mappings of a driver's files.
///
/// Only the hooks of a [`FileOperations`](crate::mm::file::ops::FileOperations) whose `Vm` it is
/// give a VMA the table made from an implementation. So every call is for a file that carries
/// `Data`.
///
/// # Examples
///
/// Mappings of files whose pages are in the page cache already:
///
/// ```
/// use kernel::{
///     mm::{
///         cache::inode::{
///             Inode,
///             InodeData, //
///         },
///         vm::{
///             fault::{
///                 Answer,
///                 VmFault, //
///             },
///             ops::VmOperations,
///             vma::Plain, //
///         }, //
///     },
///     sync::aref::ARef, //
/// };
///
/// # struct Memory;
/// #
/// # impl InodeData for Memory {
/// #     fn may_resize(&self, _size: u64) -> Result {
/// #         Ok(())
/// #     }
/// #
/// #     fn pages_removed(&self, _pages: usize) {}
/// # }
/// #
/// struct ResidentVm;
///
/// #[vtable]
/// impl VmOperations for ResidentVm {
///     type Data = ARef<Inode<Memory>>;
///     type Private = ();
///     type Kind = Plain;
///     type Atomic = Memory;
///
///     fn atomic(inode: &Self::Data) -> &Memory {
///         inode
///     }
///
///     fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
///         match vmf.data().mapping().lock_folio(vmf.pgoff()) {
///             Some(folio) => vmf.locked(folio),
///             None => vmf.sigbus(),
///         }
///     }
/// }
/// ```
#[vtable]
pub trait VmOperations: Sized + 'static {
    /// The data of the mapped files.
    type Data: Send + Sync + 'static;

    /// The data of each VMA, which the `mmap` hook or [`VmOperations::mapped`] returns. Most
    /// drivers want none, `()`: the module's documentation says what it costs.
    type Private: Send + Sync + 'static;

    /// The kind of the VMAs, which decides the pages that they may hold.
    type Kind: Kind;

    /// The data that operations which must not sleep may use.
    type Atomic: Sync + 'static;

    /// The order of the page size that `/proc/PID/smaps` reports for the VMA (`KernelPageSize`),
    /// for drivers that map large units; 0 keeps the core's default. An order above that of the
    /// largest page of a page table (`PUD_ORDER`) does not compile.
    const PAGE_ORDER: u32 = 0;

    /// Whether userfaultfd may write-protect pages of the VMA.
    const USERFAULTFD: bool = false;

    /// Returns the part of `data` that operations which must not sleep may use.
    fn atomic(data: &Self::Data) -> &Self::Atomic;

    /// Runs after fork(2), a split or mremap(2) has copied a VMA. mmap(2) does not call it.
    fn open(_vma: &OwnVma<Self>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Runs before the core removes the VMA. Its pages are already unmapped.
    fn close(_vma: &OwnVma<Self>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Takes references and makes the data of the VMA, when a mapping made by
    /// [`Hook::MmapPrepare`](crate::mm::file::ops::Hook::MmapPrepare) has got a VMA of its own. Not
    /// called when the mapping merged with a neighbour.
    ///
    /// # Errors
    ///
    /// The core unmaps the VMA, and mmap(2) fails with the error.
    fn mapped(_data: &Self::Data, _mapped: Mapped) -> Result<Self::Private> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Checks whether the VMA may be split at `address`.
    ///
    /// # Errors
    ///
    /// The system call that needs the split fails with the error.
    fn may_split(_vma: &DriverVma<Self>, _address: usize) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Runs when mremap(2) has moved the VMA to its new place.
    ///
    /// # Errors
    ///
    /// mremap(2) undoes the move, and fails with the error.
    fn mremap(_vma: &DriverVma<Self>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Checks whether mprotect(2) may give the addresses of `range` the flags `flags` (`VM_*`).
    ///
    /// # Errors
    ///
    /// mprotect(2) fails with the error.
    fn mprotect(_vma: &DriverVma<Self>, _range: Range<usize>, _flags: vm_flags_t) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Handles a fault on a page that the page table does not have.
    fn fault(_vmf: VmFault<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Handles a fault with a huge page; the core calls it before [`VmOperations::fault`].
    fn huge_fault(_vmf: HugeFault<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Maps the resident pages around an address, without waiting.
    ///
    /// With this operation faults may run under the VMA's lock (`vmf_can_call_fault()`).
    fn map_pages(_pages: MapPages<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Handles the first store through a shared mapping to a page that it maps read-only.
    ///
    /// With this operation, page faults map pages read-only first, so that each first store calls
    /// it. Stores to pages that a hook has inserted do not. The page must be in the file's page
    /// cache: the core repeats a store to any other page forever.
    fn page_mkwrite(_vmf: MkwriteFault<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Handles the first store to a page frame without a `struct page`, as
    /// [`VmOperations::page_mkwrite`] does for pages.
    fn pfn_mkwrite(_vmf: PfnMkwriteFault<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Reads or writes at `address` for a debugger, or through `/proc/PID/mem`, where
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
    /// `/proc/PID/maps` and perf call it only for VMAs without a file (`get_vma_name()` in
    /// fs/proc/task_mmu.c), and a driver's always have one. Only `always_dump_vma()` in
    /// fs/coredump.c uses it here: a VMA with this operation is in every core dump, regardless of
    /// `set_dontdump()`, its kind and `coredump_filter`.
    fn name(_atomic: &Self::Atomic) -> &'static CStr {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The range of a mapping that just got its VMA.
#[derive(Clone, Copy)]
pub struct Mapped {
    /// First address.
    pub start: usize,
    /// Address after the last.
    pub end: usize,
    /// Offset of the first page within the file, in pages.
    pub pgoff: usize,
}

/// A debugger's access to a range of bytes.
pub enum Access<'a> {
    /// A read: the operation fills the buffer, which holds zeroes.
    Read(&'a mut [u8]),
    /// A write of these bytes.
    Write(&'a [u8]),
}

impl Access<'_> {
    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        match self {
            Access::Read(buffer) => buffer.len(),
            Access::Write(bytes) => bytes.len(),
        }
    }

    /// Returns whether the range is empty.
    #[inline]
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
            // A driver that fills less than it reports must not leak stale bytes.
            // SAFETY: By the contract of this function.
            unsafe { buf.write_bytes(0, len) };
            // SAFETY: By the contract of this function; the bytes were just initialised.
            Access::Read(unsafe { core::slice::from_raw_parts_mut(buf, len) })
        }
    }
}
