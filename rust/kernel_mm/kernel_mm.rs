// SPDX-License-Identifier: GPL-2.0

//! Memory mapping for Rust drivers: what the upstream `kernel` crate lacks to answer mmap(2) and
//! page faults from a page cache, as safe abstractions.
//!
//! A driver implements [`file_ops::FileOperations`] for its files and [`vm_ops::VmOperations`] for
//! their mappings, keeps its pages in the [`page_cache::AddressSpace`] of an [`inode::Inode`], and
//! offers them through a [`misc::MiscRegistration`] or as descriptors of a [`pseudo_fs::PseudoFs`].
//! None of this asks for `unsafe` in the driver.
//!
//! The layers look down only:
//!
//! | module | mirrors | job |
//! |---|---|---|
//! | [`misc`], [`pseudo_fs`], [`anon`] | miscdevice.h, pseudo_fs.h, ... | give files to userspace |
//! | [`file_ops`], [`desc`] | fs.h | the files: hooks for mmap(2), read, write, ioctl, ... |
//! | [`vm_ops`], [`vma`], [`advice`] | mm.h | the mappings: VMAs and what happens to them |
//! | [`fault`], [`map_pages`], [`mkwrite`], [`huge_fault`], [`access`] | mm.h | page faults |
//! | [`rw`], [`inode`] | filemap.c, fs.h | read(2), write(2), size changes over the page cache |
//! | [`page_cache`], [`insert`], [`folio`], [`pages`] | pagemap.h, gfp.h | the pages |
//! | [`context`] | | who may take which lock |
//! | [`percpu`], [`mem`], [`capability`], [`mod@tracepoint`] | percpu.h, mm.h, ... | smaller helps |

#![forbid(clippy::undocumented_unsafe_blocks)]

pub mod access;
pub mod advice;
pub mod anon;
pub mod capability;
pub mod context;
pub mod desc;
pub mod fault;
mod fault_around;
mod ffi;
pub mod file_ops;
mod file_table;
pub mod folio;
pub mod huge_fault;
pub mod inode;
pub mod insert;
#[cfg(CONFIG_KUNIT = "y")]
pub mod kunit;
pub mod map_pages;
pub mod mem;
pub mod misc;
pub mod mkwrite;
pub mod page_cache;
pub mod pages;
pub mod percpu;
mod poison;
mod populate;
pub mod pseudo_fs;
pub mod rw;
mod sched;
pub mod tracepoint;
pub mod vm_ops;
mod vm_private;
mod vm_table;
pub mod vma;

/// What `pr_*!` in this crate print before a message; the macros look it up in the crate's root.
const __LOG_PREFIX: &[u8] = b"kernel_mm\0";
