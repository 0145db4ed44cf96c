// SPDX-License-Identifier: GPL-2.0
//! Makes a build folder in which Rust modules for a stock kernel can be built.
//!
//! Distributions build their kernels with `CONFIG_RUST=y`, but most ship headers without the
//! compiled Rust crates (`rust/*.rmeta`), so an out-of-tree Rust module ends in "can't find crate
//! for `core`". The crates can be made again from the same source, config and compilers; the hashes
//! in the names of the symbols that the kernel exports prove that they are the same.
#![forbid(unsafe_code)]

mod build;
mod check;
mod cli;
mod config;
mod deb;
mod locate;
mod prepare;
mod source;
mod symbols;
mod toolchain;
mod version;

pub use cli::{command, run};
