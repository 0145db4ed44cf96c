// SPDX-License-Identifier: GPL-2.0

//! The differences between the kernels that this library is built for; the kernel's tree has
//! neither this file nor the folder.
//!
//! Kbuild probes the kernel's crate with the compiler. `compat/owner.rs` replaces `owner.rs` where
//! the crate lacks `kernel::module::this_module()`.

use crate::{
    bindings,
    prelude::*, //
};
use core::borrow::Borrow;

/// Returns `EOPNOTSUPP`, which has no name in the crates before Linux 7.3.
#[inline]
pub fn eopnotsupp() -> Error {
    Error::from_errno(-(bindings::EOPNOTSUPP as c_int))
}

/// Returns the value of a module's parameter, to which the crates before Linux 7.3 return a
/// reference.
pub fn param<T: Copy>(value: impl Borrow<T>) -> T {
    *value.borrow()
}
