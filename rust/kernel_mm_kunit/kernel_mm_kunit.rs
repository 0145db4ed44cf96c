// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of `kernel_mm`: minimal drivers that can be mapped, and the library's behaviour
//! under them. The suites run when the module is loaded.
//!
//! Each file is a suite of its name, `kernel_mm_page_cache` and so on, except for the drivers:
//! `driver.rs` (pages of a file), `frames.rs` (page frames, data for each VMA), `memory.rs`
//! (page_mkwrite, huge pages).

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
