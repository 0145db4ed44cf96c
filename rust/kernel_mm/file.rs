// SPDX-License-Identifier: GPL-2.0

//! Files: their operations, and the ways to create and open them.

pub mod allocate;
pub mod anon_inode;
pub mod miscdevice;
pub mod noexec;
pub mod ops;
pub mod pseudo_fs;
pub mod rw;
mod seek;
pub(crate) mod table;
