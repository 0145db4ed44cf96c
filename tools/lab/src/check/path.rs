// SPDX-License-Identifier: GPL-2.0
//! The table in `Documentation/mmap-path.rst` is that of rows and tests, and outcomes are not old.

use super::lab::Lab;
use super::verdict::Verdict;
use crate::mmap_path;
use anyhow::Result;

/// Generates and compares.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    Ok(match mmap_path::difference(lab.project)? {
        Some(difference) => Verdict::Failed(difference),
        None => Verdict::Passed,
    })
}
