// SPDX-License-Identifier: GPL-2.0

//! The ABI of `/dev/rmmap` as a crate for userspace; see [`rmmap`] for the definitions.

#![no_std]
#![forbid(unsafe_code)]

pub mod rmmap;

pub use rmmap::*;
