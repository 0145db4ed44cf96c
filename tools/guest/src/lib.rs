// SPDX-License-Identifier: GPL-2.0
//! What runs in the lab's guests, and what host and guest say to each other.
//!
//! | file | what it does |
//! |---|---|
//! | [`protocol`], [`agent`] | the folder that both sides see; a command between loading and unloading |
//! | [`plan`], [`record`] | what a test run asks for and tells |
//! | [`collect`] | what the host makes of that, also when the guest dies |
//! | [`tests`], [`suite`] | carries it out; runs the programs that test |
//! | [`ktap`], [`kunit`] | reads reports |
//! | [`insmod`] | loads and unloads modules |
//! | [`kmsg`], [`klog`], [`expected`] | the kernel log, and what a healthy kernel never says |
//! | `taint`, `leak`, `debugfs` | what is looked at besides the log |
//! | [`counters`], `profraw` | what a kernel and a module counted of themselves, for `make coverage` |
#![forbid(unsafe_code)]

pub mod agent;
pub mod collect;
pub mod counters;
mod debugfs;
pub mod expected;
pub mod insmod;
pub mod klog;
pub mod kmsg;
pub mod ktap;
mod ktap_line;
pub mod kunit;
mod leak;
pub mod plan;
mod profraw;
pub mod protocol;
pub mod record;
pub mod suite;
mod taint;
pub mod tests;

/// A command whose program and first arguments are these words, which have no spaces in them.
pub fn command(words: &str) -> std::process::Command {
    let mut words = words.split_whitespace();
    let mut command = std::process::Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}
