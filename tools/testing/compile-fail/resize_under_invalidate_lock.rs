// SPDX-License-Identifier: GPL-2.0

//! Only page faults can hold the invalidate lock shared: truncation, which takes it exclusively,
//! would deadlock.

//~ ERROR E0624
//~ MESSAGE method `invalidate_lock_shared` is private

#[path = "common.rs"]
mod common;

use kernel::prelude::*;
use kernel_mm::cache::{
    address_space::TruncateGuard,
    inode::{
        InodeData,
        InodeGuard, //
    }, //
};

/// Waits for a lock that it holds itself.
pub fn shrink<D: InodeData>(guard: &InodeGuard<'_, D>) -> Result {
    let _held = guard.mapping().invalidate_lock_shared();
    guard.resize(0)
}
