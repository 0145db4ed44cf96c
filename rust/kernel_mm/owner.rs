// SPDX-License-Identifier: GPL-2.0

//! The module that tables of callbacks name as their owner.

use crate::{
    bindings,
    mm::file::ops::FileOperations,
    module::this_module,
    ModuleMetadata, //
};

/// Returns module `M`.
pub(crate) const fn module<M: ModuleMetadata>() -> *mut bindings::module {
    this_module::<M>().as_ptr()
}

/// Returns the module that has the code of `F`.
pub(crate) const fn module_of_files<F: FileOperations>() -> *mut bindings::module {
    module::<F::OwnerModule>()
}
