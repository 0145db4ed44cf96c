// SPDX-License-Identifier: GPL-2.0

//! Exit statuses, apart from 0.

/// What the kernel did differs from what is expected.
pub const DIFFERS: u8 = 1;

/// The command could not run. Clap uses the same for a wrong command line.
pub const CANNOT_RUN: u8 = 2;
