// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of `kernel_mm`: the smallest drivers that can be mapped, and what is expected of the
//! library under them. The suites run when the module is loaded.
//!
//! | file | suite | of |
//! |---|---|---|
//! | `page_cache.rs` | `kernel_mm_page_cache` | `folio.rs`, `page_cache.rs` |
//! | `inode.rs` | `kernel_mm_inode` | `inode.rs`, `pseudo_fs.rs` |
//! | `fault.rs` | `kernel_mm_fault` | `fault.rs`, `vm_ops.rs` |
//! | `hooks.rs` | `kernel_mm_hooks` | `file_ops.rs`, `desc.rs`, `vma.rs` |
//! | `vm_ops.rs` | `kernel_mm_vm_ops` | `vm_ops.rs`, `vm_table.rs`, `vm_private.rs` |
//! | `stores.rs` | `kernel_mm_stores` | `mkwrite.rs`, `huge_fault.rs` |
//! | `driver_vma.rs` | `kernel_mm_driver_vma` | `vma.rs`: `DriverVma` |
//! | `percpu.rs` | `kernel_mm_percpu` | `percpu.rs` |
//!
//! The drivers: `driver.rs` (pages of a file), `frames.rs` (page frames, data for each VMA),
//! `memory.rs` (stores that are announced, huge pages).

#![forbid(unsafe_code)]

mod driver;
mod driver_vma;
mod fault;
mod frames;
mod hooks;
mod inode;
mod insert;
mod memory;
mod page_cache;
mod percpu;
mod stores;
mod vm_ops;

use kernel::prelude::*;

module! {
    type: Tests,
    name: "kernel_mm_kunit",
    authors: ["rmmap developers"],
    description: "KUnit tests of kernel_mm",
    license: "GPL",
}

struct Tests;

impl kernel::Module for Tests {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
