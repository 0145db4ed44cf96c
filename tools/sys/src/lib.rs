// SPDX-License-Identifier: GPL-2.0

//! System calls that rmmap's tools need, with a safe interface.
//!
//! This is the only userspace crate of the project with `unsafe` in it; every other one forbids it.
//! It uses [rustix] wherever possible, and re-exports it as [`rustix`](mod@rustix): callers use its
//! safe functions (`mlockall`, `setrlimit`, `splice`, ...) directly.
//!
//! | module | what it does |
//! |---|---|
//! | [`device`] | `/dev/rmmap` and regions: the typed ioctls, and untyped ones for tests of bad input |
//! | [`map`] | builds a mapping: address, length, protection, flags |
//! | [`mapping`] | an owned mapping: bounds-checked access, advice, locking, residency |
//! | [`lost`] | a mapping that another thread removes while `mmap(2)` still fills it |
//! | [`remap`] | changes of a mapping's addresses: `munmap` of a part, `mremap`, mapping over |
//! | [`arena`] | addresses on which any call is safe |
//! | [`access`] | one load or store that reports a `SIGBUS` or `SIGSEGV` as an error |
//! | [`child`] | a closure in a forked child, with a channel that carries bytes and descriptors |
//! | [`mounts`] | mounts of one's own, loop devices, swap files |
//! | [`module`] | `finit_module(2)` and `delete_module(2)` |
//! | [`process`] | fault counts, capabilities, personality |
//! | [`compat`] | the system calls of 32-bit programs, through `int $0x80` |
//! | [`fanotify`] | permission before a file's contents are accessed |
//! | [`procmap`] | `PROCMAP_QUERY`: the kernel's view of one VMA |
//! | [`control`] | settings of a process's memory: `prctl(2)`, `pkey_alloc(2)` |
//! | [`numa`] | NUMA policies, and the nodes of pages |
//! | [`perf`] | `perf_event_open(2)` for records of mappings |
//! | [`ptrace`] | a debugger's access to a child |
//! | [`remote`] | the memory of other processes |
//! | [`seccomp`] | another process answers memfd_create(2) |
//! | [`walk`] | touches many pages in few instructions, for benchmarks |
//! | [`secret`] | `memfd_secret(2)` |
//! | [`udmabuf`] | a memfd's pages as a dma-buf |
//! | [`userfaultfd`] | reports of accesses to protected pages |
//!
//! # Soundness
//!
//! A [`Mapping`] owns the addresses that the kernel gave it and remembers which of them it has
//! unmapped. Nobody else has references into them, and every access is one instruction outside
//! Rust's memory model (see [`access`]). So another thread or process may change the memory at any
//! time, and a page that the kernel cannot supply is an error, not undefined behaviour.
//!
//! [rustix]: https://docs.rs/rustix

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("rmmap-sys knows the registers of x86-64 and arm64 Linux only");

pub mod access;
pub mod arena;
pub mod channel;
pub mod child;
pub mod compat;
pub mod control;
pub mod device;
pub mod fanotify;
pub mod lost;
pub mod map;
pub mod mapping;
pub mod module;
pub mod mounts;
pub mod numa;
pub mod perf;
pub mod process;
pub mod procmap;
pub mod ptrace;
mod ranges;
pub mod remap;
pub mod remote;
pub mod seccomp;
pub mod secret;
pub mod udmabuf;
pub mod userfaultfd;
pub mod walk;

pub use access::{Fault, Signal};
pub use channel::Channel;
pub use child::{fork, fork_and_exit, fork_to_background, run_in_child, Child, End};
pub use device::Device;
pub use map::MapOptions;
pub use mapping::Mapping;
pub use ptrace::Tracee;
pub use rmmap_uapi as uapi;
pub use rustix;
pub use rustix::io::Errno;
pub use userfaultfd::Userfaultfd;
pub use walk::Walk;

/// The result of a system call.
pub type Result<T, E = Errno> = core::result::Result<T, E>;

/// Size of a page, bytes: 4096, or what `RMMAP_PAGE_SIZE` says when this is compiled.
pub const PAGE_SIZE: usize = match option_env!("RMMAP_PAGE_SIZE") {
    None => 4096,
    Some(size) => match size.as_bytes() {
        b"4096" => 4096,
        b"16384" => 16384,
        b"65536" => 65536,
        _ => panic!("RMMAP_PAGE_SIZE is not the size of a page: give 4096, 16384 or 65536"),
    },
};

/// The order of a huge page, the largest that a folio has: a page table is a page of entries of
/// eight bytes.
pub const PMD_ORDER: usize = PAGE_SIZE.trailing_zeros() as usize - 3;
