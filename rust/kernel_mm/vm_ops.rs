// SPDX-License-Identifier: GPL-2.0

//! What a driver does for its mappings: `struct vm_operations_struct`.
//!
//! | operation | lock held | may sleep |
//! |---|---|---|
//! | [`fault`](VmOperations::fault) | per-VMA or mmap read lock | yes |
//! | [`map_pages`](VmOperations::map_pages) | the same, under RCU | no |
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use crate::fault::{
    Answer,
    MapPages,
    VmFault, //
};
use core::marker::PhantomData;
use kernel::{
    bindings,
    build_error,
    error::VTABLE_DEFAULT_ERROR,
    prelude::*, //
};

/// What happens in a mapping of a driver's file.
///
/// The table made of an implementation is put into a VMA by the hooks of a
/// [`FileOperations`](crate::file_ops::FileOperations) whose `Vm` it is, and by nothing else. So
/// every fault comes from a file that carries `Data`.
#[vtable]
pub trait VmOperations: Sized + 'static {
    /// The data of the files whose mappings these are.
    type Data: Send + Sync + 'static;

    /// A page of the mapping was accessed that the page table does not have.
    fn fault(_vmf: VmFault<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Pages around an address are wanted if they are resident: map them without waiting.
    ///
    /// With this operation faults may run under the per-VMA lock (`vmf_can_call_fault()`).
    fn map_pages(_pages: MapPages<'_, Self>) -> Answer<'_> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The table made of an implementation.
pub(crate) struct VmTable<V>(PhantomData<V>);

impl<V: VmOperations> VmTable<V> {
    const TABLE: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: if V::HAS_FAULT {
            Some(Self::fault)
        } else {
            None
        },
        map_pages: if V::HAS_MAP_PAGES {
            Some(Self::map_pages)
        } else {
            None
        },
        ..pin_init::zeroed()
    };

    /// Returns the table.
    pub(crate) const fn get() -> &'static bindings::vm_operations_struct {
        &Self::TABLE
    }

    /// # Safety
    ///
    /// `vmf` is a fault in a VMA that has this table.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: Only the hooks of files with `V::Data` put this table into a VMA.
        V::fault(unsafe { VmFault::from_raw(vmf) }).into_raw()
    }

    /// # Safety
    ///
    /// `vmf` is a fault in a VMA that has this table, under RCU.
    unsafe extern "C" fn map_pages(
        vmf: *mut bindings::vm_fault,
        first: c_ulong,
        last: c_ulong,
    ) -> bindings::vm_fault_t {
        // SAFETY: As above; the window is what the core passed.
        V::map_pages(unsafe { MapPages::from_raw(vmf, first, last) }).into_raw()
    }
}
