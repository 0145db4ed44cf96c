// SPDX-License-Identifier: GPL-2.0

//! The ABI of `/dev/rmmap` as a crate, for the driver and for userspace; see [`rmmap`] for the
//! definitions.

// The kernel's build system passes `no_std` itself.
#![cfg_attr(not(MODULE), no_std)]
#![forbid(unsafe_code)]

pub mod rmmap;

pub use rmmap::*;

// Here, since rmmap.rs has nothing but constants and structs, as the C header.
impl Default for RmmapCreateNamed {
    fn default() -> Self {
        Self {
            create: RmmapCreate::default(),
            name: [0; RMMAP_NAME_SIZE],
        }
    }
}
