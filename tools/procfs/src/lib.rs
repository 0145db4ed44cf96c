// SPDX-License-Identifier: GPL-2.0

//! Readers of what `/proc` tells about memory.
//!
//! Each file of `/proc` has a module here: [`maps`], [`smaps`], [`pagemap`], [`kpage`], and [`fields`] for the
//! files that are lists of names and numbers (`status`, `meminfo`, `vmstat`). Parsing is apart from
//! reading, so that every parser is tested on canned text.
//!
//! Why not the crate `procfs`: its `VmFlags` (0.18) forgets every flag that it does not know, among
//! them `lf` (mlock on fault), `sl` (sealed) and `dp` (droppable), and these are just what the
//! tests of a mapping device assert. Names are therefore kept here as the kernel prints them.
//!
//! `mincore(2)` is a system call on a mapping and lies in `rmmap-sys`.

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
