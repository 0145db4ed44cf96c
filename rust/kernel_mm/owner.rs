// SPDX-License-Identifier: GPL-2.0

//! The module that tables of callbacks name as their owner.

use crate::{
    bindings,
    module::this_module,
    ModuleMetadata, //
};

/// Returns module `M`.
pub(crate) const fn module<M: ModuleMetadata>() -> *mut bindings::module {
    this_module::<M>().as_ptr()
}

/// Expands to the module that implements the operations of type `$ops`.
macro_rules! module_of {
    ($ops:ident) => {
        $crate::mm::owner::module::<$ops::OwnerModule>()
    };
}
pub(crate) use module_of;
