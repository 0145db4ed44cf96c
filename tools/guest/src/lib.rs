// SPDX-License-Identifier: GPL-2.0
//! The lab's program in its guests, and the protocol between host and guest.
//!
//! | file | what it does |
//! |---|---|
//! | [`protocol`], [`agent`] | the folder that both sides see; a command between loading and unloading |
//! | [`plan`], [`record`] | the orders and the results of a test run |
//! | [`collect`] | makes records on the host, also when the guest dies |
//! | [`tests`], [`suite`] | carries out the plan; runs the test programs |
//! | [`ktap`], [`kunit`], [`libtest`] | reads reports |
//! | [`insmod`] | loads and unloads modules |
//! | [`kmsg`], [`klog`], [`expected`] | the kernel log, and messages of an unhealthy kernel |
//! | [`taint`], [`leak`], [`debugfs`] | checks besides the log |
//! | [`counters`], `profraw` | coverage counters of a kernel and a module, for `make coverage` |
#![forbid(unsafe_code)]

pub mod agent;
pub mod collect;
pub mod counters;
pub mod debugfs;
pub mod expected;
pub mod insmod;
pub mod klog;
pub mod kmsg;
pub mod ktap;
mod ktap_line;
pub mod kunit;
pub mod leak;
pub mod libtest;
pub mod plan;
mod profraw;
pub mod protocol;
pub mod record;
pub mod suite;
pub mod taint;
pub mod tests;

/// Makes a command from a line of words, none of which contains a space.
pub fn command(words: &str) -> std::process::Command {
    let mut words = words.split_whitespace();
    let mut command = std::process::Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}
