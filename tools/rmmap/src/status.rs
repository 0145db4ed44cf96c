// SPDX-License-Identifier: GPL-2.0

//! Exit statuses, apart from 0.

/// The kernel's behaviour differs from the expectation.
pub const DIFFERS: u8 = 1;

/// The command could not run. Clap uses the same for a wrong command line.
pub const CANNOT_RUN: u8 = 2;
