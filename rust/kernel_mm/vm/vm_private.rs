// SPDX-License-Identifier: GPL-2.0

//! The data of a single VMA, in `vm_private_data`: an [`Arc`], one count per VMA.
//!
//! A VMA comes into being in the hook, and by fork, split and mremap, which copy the pointer and
//! call `open`; it goes by `close`. `vm_table.rs` calls these functions there.

use crate::{
    bindings,
    mm::vm::ops::VmOperations,
    prelude::*,
    sync::Arc,
    types::ForeignOwnable, //
};

/// Does `V` keep data per VMA at all? `()` and other types without contents say no, unless they
/// have a drop, which runs when the VMA goes.
pub(crate) const fn is_used<V: VmOperations>() -> bool {
    size_of::<V::Private>() != 0 || core::mem::needs_drop::<V::Private>()
}

/// Makes what goes into `vm_private_data`.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn make<V: VmOperations>(private: V::Private) -> Result<*mut c_void> {
    if !is_used::<V>() {
        return Ok(core::ptr::null_mut());
    }
    Ok(Arc::new(private, GFP_KERNEL)?.into_foreign())
}

/// Returns the data of `vma`.
///
/// # Safety
///
/// `vma` has the table of `V`, and is valid for `'a`.
pub(crate) unsafe fn get<'a, V: VmOperations>(
    vma: *mut bindings::vm_area_struct,
) -> Option<&'a V::Private> {
    // SAFETY: By the contract of this function.
    let data = unsafe { (*vma).vm_private_data };
    if !is_used::<V>() || data.is_null() {
        return None;
    }
    // SAFETY: A VMA with the table of `V` gets a pointer that is not null from `make::<V>()` alone,
    // in the hook or in `mapped`: it is of `Arc::into_foreign()`. The VMA owns a count, which only
    // `gone` gives back.
    let arc = unsafe { <Arc<V::Private> as ForeignOwnable>::borrow(data) };
    // SAFETY: The count that the VMA owns keeps the pointee for as long as the VMA is valid, which
    // is all of 'a, and an `Arc` does not move it.
    Some(unsafe { &*core::ptr::from_ref::<V::Private>(&*arc) })
}

/// A copy of a VMA was made: it gets a count of its own.
///
/// # Safety
///
/// `vma` has the table of `V`, and owns no count yet.
pub(crate) unsafe fn copied<V: VmOperations>(vma: *mut bindings::vm_area_struct) {
    // SAFETY: By the contract of this function.
    let data = unsafe { (*vma).vm_private_data };
    if is_used::<V>() && !data.is_null() {
        // SAFETY: As in `get`; the VMA that was copied owns a count, and the mmap write lock, which
        // is held, keeps it.
        let arc = unsafe { <Arc<V::Private> as ForeignOwnable>::borrow(data) };
        let more: Arc<V::Private> = arc.into();
        // The same pointer as `data`, which the copy has already.
        let _ = more.into_foreign();
    }
}

/// A VMA goes: its count is given back.
///
/// # Safety
///
/// `vma` has the table of `V`, and is not used again.
pub(crate) unsafe fn gone<V: VmOperations>(vma: *mut bindings::vm_area_struct) {
    // SAFETY: By the contract of this function.
    let data = unsafe { (*vma).vm_private_data };
    if is_used::<V>() && !data.is_null() {
        // SAFETY: As in `get`. The VMA owned a count, which nobody borrows any more: a holder of
        // `&V::Private` holds the VMA by a lock that the caller had to wait for.
        drop(unsafe { <Arc<V::Private> as ForeignOwnable>::from_foreign(data) });
    }
}
