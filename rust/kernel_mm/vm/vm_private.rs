// SPDX-License-Identifier: GPL-2.0

//! The data of a single VMA, in `vm_private_data`: an [`Arc`], one reference per VMA.
//!
//! The `mmap` hook or `mapped` sets the pointer. Fork, split and mremap copy it and call `open`,
//! which takes a reference; `close` drops one. `vm/table.rs` and `file/table.rs` call these
//! functions there.

use crate::{
    bindings,
    mm::vm::ops::VmOperations,
    prelude::*,
    sync::Arc,
    types::ForeignOwnable, //
};

/// Returns whether `V` keeps data per VMA. `()` and other zero-sized types do not, unless they have
/// a drop, which runs when the VMA is removed.
#[inline]
pub(crate) const fn is_used<V: VmOperations>() -> bool {
    size_of::<V::Private>() != 0 || core::mem::needs_drop::<V::Private>()
}

/// Makes the pointer for `vm_private_data`.
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
    // SAFETY: A VMA with the table of `V` gets a pointer that is not null only from `make::<V>()`,
    // in the hook or in `mapped`, and so from `Arc::into_foreign()`. The VMA owns a reference,
    // which only `gone` drops.
    let arc = unsafe { <Arc<V::Private> as ForeignOwnable>::borrow(data) };
    // SAFETY: The reference that the VMA owns keeps the pointee for as long as the VMA is valid,
    // which is all of 'a, and an `Arc` does not move it.
    Some(unsafe { &*core::ptr::from_ref::<V::Private>(&*arc) })
}

/// Takes a reference for the copy of a VMA.
///
/// # Safety
///
/// `vma` has the table of `V`, and owns no reference yet.
pub(crate) unsafe fn copied<V: VmOperations>(vma: *mut bindings::vm_area_struct) {
    // SAFETY: By the contract of this function.
    let data = unsafe { (*vma).vm_private_data };
    if is_used::<V>() && !data.is_null() {
        // SAFETY: As in `get`; the VMA that was copied owns a reference, and the held mmap write
        // lock keeps that VMA.
        let arc = unsafe { <Arc<V::Private> as ForeignOwnable>::borrow(data) };
        let more: Arc<V::Private> = arc.into();
        // This is the pointer `data`, which the copy already has.
        let _ = more.into_foreign();
    }
}

/// Drops the reference of a VMA that is being removed.
///
/// # Safety
///
/// `vma` has the table of `V`, and is not used again.
pub(crate) unsafe fn gone<V: VmOperations>(vma: *mut bindings::vm_area_struct) {
    // SAFETY: By the contract of this function.
    let data = unsafe { (*vma).vm_private_data };
    if is_used::<V>() && !data.is_null() {
        // SAFETY: As in `get`. The VMA owns a reference, and nobody borrows from it any more: a
        // holder of `&V::Private` holds a lock on the VMA, for which the caller had to wait.
        drop(unsafe { <Arc<V::Private> as ForeignOwnable>::from_foreign(data) });
    }
}
