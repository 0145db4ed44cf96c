// SPDX-License-Identifier: GPL-2.0

//! C values composed from those in the bindings.

use crate::{
    bindings,
    ffi,
    prelude::*, //
};

/// GFP flags to reclaim as long as that makes progress, but fail rather than invoke the OOM killer
/// or warn.
pub(crate) const GFP_MAYFAIL: bindings::gfp_t =
    bindings::__GFP_RETRY_MAYFAIL | bindings::__GFP_NOWARN;

/// GFP flags to fail early, without retries, OOM killer or warning.
pub(crate) const GFP_SOFT: bindings::gfp_t = bindings::__GFP_NORETRY | bindings::__GFP_NOWARN;

/// Returns `address`, or the error that it encodes, as `IS_ERR_VALUE()` tells them apart: the last
/// page of the address space stands for errors.
pub(crate) fn from_err_value(address: usize) -> Result<usize> {
    if address > usize::MAX - bindings::MAX_ERRNO as usize {
        return Err(Error::from_errno(address as isize as ffi::c_int));
    }
    Ok(address)
}
