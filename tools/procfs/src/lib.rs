// SPDX-License-Identifier: GPL-2.0

//! Readers of the files of `/proc` about memory.
//!
//! Each file of `/proc` has a module here: [`maps`], [`smaps`], [`pagemap`], [`kpage`], and [`fields`] for the
//! files that are lists of names and numbers (`status`, `meminfo`, `vmstat`). Parsing is separate
//! from reading, so that tests run every parser on canned text.
//!
//! The crate `procfs` does not suffice: its `VmFlags` (0.18) drops unknown flags, among them `lf`
//! (mlock on fault), `sl` (sealed) and `dp` (droppable), and the tests of a mapping device assert
//! these. So this crate keeps names as the kernel prints them.
//!
//! `mincore(2)` is a system call on a mapping; `rmmap-sys` has it.

#![forbid(unsafe_code)]

pub mod error;
pub mod fields;
pub mod kpage;
pub mod maps;
pub mod pagemap;
pub mod process;
pub mod smaps;

pub use error::Error;
pub use fields::Fields;
pub use kpage::Frames;
pub use maps::Map;
pub use pagemap::PageMap;
pub use process::Process;
pub use smaps::{Smap, VmFlags};
