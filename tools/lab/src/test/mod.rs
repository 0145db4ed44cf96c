// SPDX-License-Identifier: GPL-2.0

//! `make test`: everything that is tested, on every kernel, in one run.
//!
//! | file | what it does |
//! |---|---|
//! | [`args`], [`mod@run`] | the command line; what is run |
//! | [`jobs`] | some of it beside the other |
//! | [`host`], [`libtest`] | the workspace's unit tests |
//! | [`compile_fail`] | what the library's types must refuse |
//! | [`tutorial`] | the tutorial's page, followed word by word |
//! | [`vm`] | what guests of `make vm` have |
//! | [`boot`], [`collect`] | one boot, seen from the host; what a dead guest did not come to |
//! | [`plan`], [`event`] | what host and guest say to each other |
//! | [`guest`], [`insmod`], [`selftest`], [`trace`], [`restore`], [`kunit`] | one boot, seen from the guest |
//! | [`kmsg`], [`taint`], [`leak`], [`debugfs`] | what the guest looks at besides: log, counters, leaks |
//! | [`counters`], [`profraw`] | what a kernel and a module counted of themselves, for `make coverage` |
//! | [`expected`] | the one report in the kernel log that a test asks for |
//! | [`ktap`], [`ktap_line`], [`record`], [`report`] | results: read, kept, shown |
//! | [`origin`] | what they are results of |

mod args;
mod boot;
mod collect;
mod compile_fail;
mod counters;
mod debugfs;
mod event;
mod expected;
mod guest;
mod host;
pub(crate) mod insmod;
mod jobs;
pub(crate) mod kmsg;
pub(crate) mod ktap;
mod ktap_line;
pub(crate) mod kunit;
mod leak;
mod libtest;
pub(crate) mod origin;
mod plan;
mod profraw;
pub(crate) mod record;
pub(crate) mod report;
mod restore;
mod run;
mod selftest;
mod taint;
mod trace;
mod tutorial;
mod vm;

pub use args::Args;
pub use guest::{run as run_in_guest, save_counters};
pub use plan::Hook;
pub use record::Record;
pub use run::{coverage, run, Covered};
