// SPDX-License-Identifier: GPL-2.0

//! Mistakes on purpose, for tests of how the core answers them. No driver needs this module, and it
//! is not for upstream.

use crate::{
    bindings,
    mm::{
        file::{
            miscdevice::{
                FromMisc,
                MiscRegistration, //
            },
            ops::OpenMisc,
            table::FileTable, //
        },
        vm::{
            fault::{
                Answer,
                CowFault, //
            },
            ops::VmOperations, //
        }, //
    },
    prelude::*, //
};
use core::marker::PhantomData;

/// The table of files of `F` that offer both hooks of mmap(2).
struct BothHooks<F>(PhantomData<F>);

impl<F: OpenMisc> BothHooks<F> {
    const TABLE: bindings::file_operations = bindings::file_operations {
        mmap: FileTable::<F, FromMisc>::MMAP.mmap,
        ..FileTable::<F, FromMisc>::PREPARE
    };
}

/// Registers `/dev/NAME`, as [`MiscRegistration::register`] does, with both hooks: the kernel
/// warns, once, and refuses every mapping with `ENODEV` (`can_mmap_file()` in include/linux/fs.h).
///
/// # Errors
///
/// As for [`MiscRegistration::register`].
pub fn register_both_hooks<F: OpenMisc>(
    name: &'static CStr,
    context: F::Context,
) -> impl PinInit<MiscRegistration<F>, Error> {
    // SAFETY: The table consists of entries of the tables of `FileTable::<F, FromMisc>`.
    unsafe { MiscRegistration::register_table(name, &BothHooks::<F>::TABLE, context) }
}

/// Answers that the process has its copy (`VM_FAULT_DONE_COW`) without making one: the process
/// repeats the access until it is killed. Making the copy requires `finish_fault()`, which modules
/// cannot call.
pub fn done_without_copy<V: VmOperations>(cow: CowFault<'_, V>) -> Answer<'_> {
    let fault = cow.into_fault();
    let vmf = fault.as_raw();
    // SAFETY: By the invariants of `CowFault` it is the first page of a folio.
    let folio = unsafe { bindings::page_folio((*vmf).cow_page) };
    // SAFETY: `do_cow_fault()` in mm/memory.c returns at once for this answer, without the
    // `folio_put()` of its other return paths. It has just allocated the folio, which nobody else
    // knows.
    unsafe { bindings::folio_put(folio) };
    // SAFETY: By the invariants of the fault.
    unsafe { (*vmf).cow_page = core::ptr::null_mut() };
    fault.answer(bindings::vm_fault_reason_VM_FAULT_DONE_COW)
}
