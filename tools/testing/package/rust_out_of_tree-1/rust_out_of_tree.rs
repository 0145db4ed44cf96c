// SPDX-License-Identifier: GPL-2.0

//! A module that knows the kernel alone.

#![forbid(unsafe_code)]

use kernel::prelude::*;

module! {
    type: OutOfTree,
    name: "rust_out_of_tree",
    authors: ["rmmap"],
    description: "Module that DKMS builds",
    license: "GPL",
}

struct OutOfTree {
    numbers: KVec<u32>,
}

impl kernel::Module for OutOfTree {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut numbers = KVec::new();
        for number in [72, 108, 200] {
            numbers.push(number, GFP_KERNEL)?;
        }
        pr_info!("out of tree\n");
        Ok(Self { numbers })
    }
}

impl Drop for OutOfTree {
    fn drop(&mut self) {
        pr_info!("numbers: {:?}\n", self.numbers);
    }
}
