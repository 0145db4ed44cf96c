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
//! | [`boot`] | one boot, seen from the host |
//! | [`report`] | what people see |
//! | [`origin`] | what it is a run of |
//!
//! What the guests do, and how they tell, is in `tools/guest`.

mod args;
mod boot;
mod compile_fail;
mod host;
mod jobs;
mod libtest;
pub(crate) mod origin;
pub(crate) mod report;
mod run;
mod tutorial;
mod vm;

pub use args::Args;
pub use plan::Hook;
pub use record::Record;
pub(crate) use rmmap_guest::{collect, expected, insmod, kmsg, ktap, kunit, plan, record};
pub use run::{coverage, run, Covered};
