// SPDX-License-Identifier: GPL-2.0

//! Only the thread that locked a folio can unlock it.

//~ ERROR E0277
//~ MESSAGE cannot be sent between threads safely

#[path = "common.rs"]
mod common;

use kernel_mm::cache::address_space::AddressSpace;

/// Locks a page and gives it to another thread.
pub fn lock(mapping: &AddressSpace) {
    send(mapping.lock_folio(0));
}

/// Sends a value to another thread.
fn send<T: Send>(_value: T) {}
