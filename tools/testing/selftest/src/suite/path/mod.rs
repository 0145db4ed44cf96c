// SPDX-License-Identifier: GPL-2.0

//! The tests of the branches of the mmap path (`rows/`): a file per topic, each test names its row.

use crate::case::Case;

/// The tables of the files here, in the order in which they run.
pub const FILES: &[&[Case]] = &[];
