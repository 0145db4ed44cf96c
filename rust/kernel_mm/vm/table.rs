// SPDX-License-Identifier: GPL-2.0

//! The `struct vm_operations_struct` made from a [`VmOperations`]: callbacks that only translate.

use crate::{
    bindings,
    error::from_result,
    mm::{
        file_state::FileState,
        vm::{
            fault::{
                self,
                VmFault, //
            },
            huge_fault::HugeFault,
            map_pages::MapPages,
            mkwrite::{
                MkwriteFault,
                PfnMkwriteFault, //
            },
            ops::{
                Access,
                Mapped,
                VmOperations, //
            },
            vm_private,
            vma::{
                DriverVma,
                OwnVma, //
            }, //
        }, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};
use core::marker::PhantomData;

/// The table made from an implementation.
///
/// The core calls these functions only through `vma->vm_ops`. Only the hooks of a `FileTable<F, _>`
/// (`file/table.rs`) with `F::Vm = V` give a VMA this table. Those run for a file that has one of
/// its tables, whose `open` stores a `FileState<F::Data>`, and `F::Data` is `V::Data` by the bound
/// of [`FileOperations::Vm`](crate::mm::file::ops::FileOperations::Vm). The VMA holds that file
/// until `close` has returned. The `unsafe` blocks below rest on this where they say "this table".
pub(crate) struct VmTable<V>(PhantomData<V>);

#[cfg(CONFIG_USERFAULTFD)]
unsafe extern "C" {
    /// A `struct vm_uffd_ops` that allows write protection only (`rust/helpers/userfaultfd.c`);
    /// bindgen declares only the functions of that folder.
    #[link_name = "rust_helper_uffd_write_protect_ops"]
    static UFFD_WRITE_PROTECT_OPS: bindings::vm_uffd_ops;
}

macro_rules! optional {
    ($has:expr, $f:expr) => {
        if $has {
            Some($f)
        } else {
            None
        }
    };
}

impl<V: VmOperations> VmTable<V> {
    /// Whether [`VmOperations::PAGE_ORDER`] is that of a page that a page table can map.
    const PAGE_ORDER_IS_VALID: () = assert!(
        V::PAGE_ORDER <= bindings::PUD_ORDER,
        "PAGE_ORDER is larger than any page of a page table"
    );

    const TABLE: bindings::vm_operations_struct = bindings::vm_operations_struct {
        open: optional!(V::HAS_OPEN || vm_private::is_used::<V>(), Self::open),
        close: optional!(V::HAS_CLOSE || vm_private::is_used::<V>(), Self::close),
        mapped: optional!(V::HAS_MAPPED, Self::mapped),
        may_split: optional!(V::HAS_MAY_SPLIT, Self::may_split),
        mremap: optional!(V::HAS_MREMAP, Self::mremap),
        mprotect: optional!(V::HAS_MPROTECT, Self::mprotect),
        fault: optional!(V::HAS_FAULT, Self::fault),
        huge_fault: optional!(V::HAS_HUGE_FAULT, Self::huge_fault),
        map_pages: optional!(V::HAS_MAP_PAGES, Self::map_pages),
        pagesize: {
            let () = Self::PAGE_ORDER_IS_VALID;
            optional!(V::PAGE_ORDER != 0, Self::pagesize)
        },
        page_mkwrite: optional!(V::HAS_PAGE_MKWRITE, Self::page_mkwrite),
        pfn_mkwrite: optional!(V::HAS_PFN_MKWRITE, Self::pfn_mkwrite),
        access: optional!(V::HAS_ACCESS, Self::access),
        name: optional!(V::HAS_NAME, Self::name),
        #[cfg(CONFIG_USERFAULTFD)]
        uffd_ops: if V::USERFAULTFD {
            (&raw const UFFD_WRITE_PROTECT_OPS).cast()
        } else {
            core::ptr::null()
        },
        ..pin_init::zeroed()
    };

    /// Whether `V` has any operation at all. A VMA without one keeps the empty table that the core
    /// gives to every VMA (`vma_dummy_vm_ops`).
    pub(crate) const HAS_ANY: bool = V::HAS_OPEN
        || V::HAS_CLOSE
        || vm_private::is_used::<V>()
        || V::HAS_MAPPED
        || V::HAS_MAY_SPLIT
        || V::HAS_MREMAP
        || V::HAS_MPROTECT
        || V::HAS_FAULT
        || V::HAS_HUGE_FAULT
        || V::HAS_MAP_PAGES
        || V::PAGE_ORDER != 0
        || V::HAS_PAGE_MKWRITE
        || V::HAS_PFN_MKWRITE
        || V::HAS_ACCESS
        || V::HAS_NAME
        || V::USERFAULTFD;

    /// Returns the table.
    #[inline]
    pub(crate) const fn get() -> &'static bindings::vm_operations_struct {
        &Self::TABLE
    }

    /// # Safety
    ///
    /// `vma` has this table; it is the copy of a VMA that has it, too.
    unsafe extern "C" fn open(vma: *mut bindings::vm_area_struct) {
        // SAFETY: This table. `vm_area_dup()` copied the pointer without a count, and the core
        // calls `open` once for each copy (`dup_mmap()`, `__split_vma()`, `copy_vma()`).
        unsafe { vm_private::copied::<V>(vma) };
        if V::HAS_OPEN {
            // SAFETY: This table; the mmap write lock is held.
            V::open(unsafe { OwnVma::from_raw(vma) });
        }
    }

    /// # Safety
    ///
    /// `vma` has this table and is not used afterwards.
    unsafe extern "C" fn close(vma: *mut bindings::vm_area_struct) {
        if V::HAS_CLOSE {
            // SAFETY: This table; the callers of `vma_close()` hold the mmap lock and are removing
            // the VMA, so nobody else changes it.
            V::close(unsafe { OwnVma::from_raw(vma) });
        }
        // SAFETY: This table. `vma_close()` in mm/internal.h sets `vm_ops` to `vma_dummy_vm_ops`
        // next, so this library never sees the VMA again.
        unsafe { vm_private::gone::<V>(vma) };
    }

    /// # Safety
    ///
    /// `file` is that of a new VMA with this table, `private` the address of a copy of its
    /// `vm_private_data`.
    unsafe extern "C" fn mapped(
        start: c_ulong,
        end: c_ulong,
        pgoff: c_ulong,
        file: *const bindings::file,
        private: *mut *mut c_void,
    ) -> c_int {
        from_result(|| {
            // SAFETY: This table.
            let data = unsafe { FileState::<V::Data>::borrow(file) };
            let made = V::mapped(data, Mapped { start, end, pgoff })?;
            let made = vm_private::make::<V>(made)?;
            // SAFETY: `call_vma_mapped()` in mm/util.c passes the address of a variable, and stores
            // its value in `vm_private_data` when this function succeeds.
            unsafe { *private = made };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `vma` has this table.
    unsafe extern "C" fn may_split(vma: *mut bindings::vm_area_struct, address: c_ulong) -> c_int {
        from_result(|| {
            // SAFETY: This table; the mmap write lock is held.
            V::may_split(unsafe { DriverVma::from_raw(vma) }, address)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `vma` has this table.
    unsafe extern "C" fn mremap(vma: *mut bindings::vm_area_struct) -> c_int {
        from_result(|| {
            // SAFETY: This table; the mmap write lock is held.
            V::mremap(unsafe { DriverVma::from_raw(vma) })?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `vma` has this table.
    unsafe extern "C" fn mprotect(
        vma: *mut bindings::vm_area_struct,
        start: c_ulong,
        end: c_ulong,
        flags: c_ulong,
    ) -> c_int {
        from_result(|| {
            // SAFETY: This table; the mmap write lock is held.
            V::mprotect(unsafe { DriverVma::from_raw(vma) }, start..end, flags)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `vmf` is a fault in a VMA that has this table.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: This table.
        let ret = V::fault(unsafe { VmFault::from_raw(vmf) }).into_raw();
        if ret & bindings::vm_fault_reason_VM_FAULT_RETRY as bindings::vm_fault_t != 0 {
            // SAFETY: `VmFault::retry()` gave this answer. The handler has returned: nobody uses
            // the VMA or the file any more.
            unsafe { fault::give_lock_back(vmf) };
        }
        ret
    }

    /// # Safety
    ///
    /// `vmf` is a fault in a VMA that has this table.
    unsafe extern "C" fn huge_fault(
        vmf: *mut bindings::vm_fault,
        order: c_uint,
    ) -> bindings::vm_fault_t {
        // SAFETY: This table; the order is what the core passed.
        V::huge_fault(unsafe { HugeFault::from_raw(vmf, order) }).into_raw()
    }

    /// # Safety
    ///
    /// `vmf` is a fault in a VMA that has this table, under RCU.
    unsafe extern "C" fn map_pages(
        vmf: *mut bindings::vm_fault,
        first: c_ulong,
        last: c_ulong,
    ) -> bindings::vm_fault_t {
        // SAFETY: This table; the window is what the core passed.
        V::map_pages(unsafe { MapPages::from_raw(vmf, first, last) }).into_raw()
    }

    /// # Safety
    ///
    /// None: the function ignores its argument.
    unsafe extern "C" fn pagesize(_vma: *mut bindings::vm_area_struct) -> c_ulong {
        PAGE_SIZE << V::PAGE_ORDER
    }

    /// # Safety
    ///
    /// `vmf` is a fault in a VMA that has this table, for a page of it.
    unsafe extern "C" fn page_mkwrite(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: This table; the core has set `vmf->page`.
        V::page_mkwrite(unsafe { MkwriteFault::from_raw(vmf) }).into_raw()
    }

    /// # Safety
    ///
    /// `vmf` is a fault in a VMA that has this table.
    unsafe extern "C" fn pfn_mkwrite(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: This table.
        V::pfn_mkwrite(unsafe { PfnMkwriteFault::from_raw(vmf) }).into_raw()
    }

    /// # Safety
    ///
    /// `vma` has this table; `buf` is a buffer of `len` bytes in the kernel, which nobody else
    /// uses, and which is filled when `write` is set.
    unsafe extern "C" fn access(
        vma: *mut bindings::vm_area_struct,
        address: c_ulong,
        buf: *mut c_void,
        len: c_int,
        write: c_int,
    ) -> c_int {
        from_result(|| {
            // SAFETY: This table; the mmap read lock is held.
            let vma = unsafe { DriverVma::<V>::from_raw(vma) };
            // The core has checked the first byte only (`__access_remote_vm()`).
            let len = usize::try_from(len).map_err(|_| EINVAL)?;
            let len = len.min(vma.end().saturating_sub(address));
            // SAFETY: By the contract of this function; the length was only cut.
            let access = unsafe { Access::from_raw(buf.cast(), len, write != 0) };
            Ok(V::access(vma, address, access)?.min(len) as c_int)
        })
    }

    /// # Safety
    ///
    /// `vma` has this table.
    unsafe extern "C" fn name(vma: *mut bindings::vm_area_struct) -> *const c_char {
        // SAFETY: This table; the VMA holds the file.
        let data = unsafe { FileState::<V::Data>::borrow((*vma).vm_file) };
        V::name(V::atomic(data)).as_char_ptr()
    }
}
