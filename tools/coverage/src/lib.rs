// SPDX-License-Identifier: GPL-2.0
//! Which lines and branches of the mmap path ran, from what gcovr and llvm-cov say.
//!
//! | file | what it does |
//! |---|---|
//! | [`scope`] | what is reported: `tools/lab/coverage.toml` |
//! | [`gcovr`] | reads the kernel's part |
//! | [`lcov`] | reads the module's part |
//! | [`function`] | what both come to: functions with their lines |
//! | [`why`] | what explains a line that never ran: `tools/lab/coverage-why.toml` |
//! | [`summary`] | the table, and `summary.json` |
#![forbid(unsafe_code)]

pub mod function;
pub mod gcovr;
pub mod lcov;
pub mod scope;
pub mod summary;
pub mod why;
