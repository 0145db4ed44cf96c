// SPDX-License-Identifier: GPL-2.0

//! The module that tables of callbacks name as their owner, for kernels whose crate lacks
//! `kernel::module::this_module()` (before Linux 7.3).
//!
//! This crate is linked into each module that uses it, and modpost makes one `__this_module` for
//! each module (`add_header()` in scripts/mod/modpost.c): the one linked here is the driver's.

use crate::{
    bindings,
    ModuleMetadata, //
};

/// Returns module `M`, which this crate is linked into: only code of a module names its type.
pub(crate) const fn module<M: ModuleMetadata>() -> *mut bindings::module {
    this()
}

/// Returns the module that this crate is linked into.
pub(crate) const fn this() -> *mut bindings::module {
    (&raw const bindings::__this_module).cast_mut()
}

/// Expands to the module that implements the operations of type `$ops`.
macro_rules! module_of {
    ($ops:ident) => {
        $crate::mm::owner::this()
    };
}
pub(crate) use module_of;
