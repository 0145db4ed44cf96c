// SPDX-License-Identifier: GPL-2.0

//! The differences between the kernels that this library is built for; the kernel's tree gets
//! neither this file nor the folder.
//!
//! Kbuild asks the compiler what the kernel's crate has. `compat/owner.rs` takes the place of
//! `owner.rs` where the crate does not tell a type's module.

use crate::{
    bindings,
    prelude::*, //
};

/// Returns `EOPNOTSUPP`, which has no name in the crates before Linux 7.3.
pub fn eopnotsupp() -> Error {
    Error::from_errno(-(bindings::EOPNOTSUPP as c_int))
}
