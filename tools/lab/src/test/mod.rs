// SPDX-License-Identifier: GPL-2.0

//! `make test`: all tests, on every kernel, in one run.
//!
//! | file | what it does |
//! |---|---|
//! | [`args`], [`mod@run`] | the command line; the run |
//! | [`jobs`] | parts of it in parallel |
//! | [`host`] | the workspace's unit tests |
//! | [`compile_fail`] | misuses that the library's types must refuse |
//! | [`tutorial`] | the tutorial's commands |
//! | [`package`] | the package of Rust metadata's |
//! | [`vm`] | the environment in guests of `make vm` |
//! | [`boot`] | one boot, seen from the host |
//! | [`report`] | the report for people |
//! | [`origin`] | the commit and kernel of a run |
//!
//! `tools/guest` has the guests' part and the protocol.

mod args;
mod boot;
mod compile_fail;
mod host;
mod jobs;
pub(crate) mod origin;
mod package;
pub(crate) mod report;
mod run;
mod tutorial;
mod vm;

pub use args::Args;
pub use plan::Hook;
pub use record::Record;
pub(crate) use rmmap_guest::{collect, expected, insmod, kmsg, ktap, kunit, libtest, plan, record};
pub use run::{coverage, run, Covered, DEBUG_APPEND};
