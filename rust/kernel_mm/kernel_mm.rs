// SPDX-License-Identifier: GPL-2.0

//! Memory mapping for Rust drivers: safe abstractions that the upstream `kernel` crate lacks, for
//! drivers that serve mmap(2) and page faults from a page cache.
//!
//! A driver implements [`file::ops::FileOperations`] for its files and [`vm::ops::VmOperations`]
//! for their mappings, keeps its pages in the [`cache::address_space::AddressSpace`] of a
//! [`cache::inode::Inode`], and offers them through a [`file::miscdevice::MiscRegistration`] or as
//! descriptors of a [`file::pseudo_fs::PseudoFs`]. None of this requires `unsafe` in the driver.
//!
//! Each layer uses only those below it:
//!
//! | module | mirrors | job |
//! |---|---|---|
//! | [`testing`] | | mistakes on purpose, for tests of the core |
//! | [`mod@file`] | fs.h, miscdevice.h, pseudo_fs.h | files: open, mmap(2), read(2), ioctl(2) |
//! | [`vm`] | mm.h, mm_types.h | mappings: VMAs, page faults, mapping pages |
//! | `owner` | module.h | the module of a driver's tables |
//! | `file_state` | fs.h | the private data of a file, for `file` and `vm` |
//! | [`cache`] | pagemap.h, filemap.c, fs.h | the pages: page cache, folios, inodes |
//! | [`context`] | | which locks a thread may take |
//! | [`capability`], [`percpu`], [`mem`], [`mod@tracepoint`] | percpu.h, ... | small helpers |

#![forbid(clippy::undocumented_unsafe_blocks)]

mod bindings;
pub mod compat;

// The root and `mm` re-export the modules of the `kernel` crate, so that a file that names
// `crate::page` or `crate::mm::virt` compiles in either tree.
pub(crate) use kernel::*;

/// `rust/kernel/mm.rs`, with the modules of this crate.
#[doc(hidden)]
#[path = "."]
pub mod mm {
    pub(crate) use kernel::mm::*;

    pub mod cache;
    pub mod capability;
    pub mod context;
    pub mod file;
    pub(crate) mod file_state;
    #[cfg(CONFIG_KUNIT = "y")]
    pub mod kunit;
    pub mod mem;
    #[cfg_attr(kernel_mm_compat_owner, path = "compat/owner.rs")]
    pub(crate) mod owner;
    pub mod percpu;
    pub(crate) mod sched;
    pub mod testing;
    pub mod tracepoint;
    pub(crate) mod values;
    pub mod vm;
}

#[cfg(CONFIG_KUNIT = "y")]
pub use mm::kunit;
pub use mm::{
    cache,
    capability,
    context,
    file,
    mem,
    percpu,
    testing,
    tracepoint,
    vm, //
};

/// The prefix of messages that `pr_*!` print in this crate; the macros look it up in the crate's
/// root.
const __LOG_PREFIX: &[u8] = b"kernel_mm\0";
