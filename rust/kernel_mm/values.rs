// SPDX-License-Identifier: GPL-2.0

//! Values of the C side, put together of those in the bindings.

use crate::{
    bindings,
    ffi,
    prelude::*, //
};

/// Reclaims as long as that gets anywhere, but fails rather than kills or warns.
pub(crate) const GFP_MAYFAIL: bindings::gfp_t =
    bindings::__GFP_RETRY_MAYFAIL | bindings::__GFP_NOWARN;

/// Gives up at once.
pub(crate) const GFP_SOFT: bindings::gfp_t = bindings::__GFP_NORETRY | bindings::__GFP_NOWARN;

/// Tells an address from an error, as `IS_ERR_VALUE()` does: the last page of the address space
/// stands for errors.
pub(crate) fn from_err_value(address: usize) -> Result<usize> {
    if address > usize::MAX - bindings::MAX_ERRNO as usize {
        return Err(Error::from_errno(address as isize as ffi::c_int));
    }
    Ok(address)
}
