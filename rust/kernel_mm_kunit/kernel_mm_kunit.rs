// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of `kernel_mm`: the smallest driver that can be mapped, and what is expected of the
//! library under it. The suites run when the module is loaded.
//!
//! | file | suite | of |
//! |---|---|---|
//! | `page_cache.rs` | `kernel_mm_page_cache` | `folio.rs`, `page_cache.rs` |
//! | `inode.rs` | `kernel_mm_inode` | `inode.rs`, `pseudo_fs.rs` |
//! | `fault.rs` | `kernel_mm_fault` | `fault.rs`, `vm_ops.rs` |
//! | `hooks.rs` | `kernel_mm_hooks` | `file_ops.rs`, `desc.rs`, `vma.rs` |
//! | `percpu.rs` | `kernel_mm_percpu` | `percpu.rs` |

#![forbid(unsafe_code)]

mod driver;
mod fault;
mod hooks;
mod inode;
mod page_cache;
mod percpu;

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
