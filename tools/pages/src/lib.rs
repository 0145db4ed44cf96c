// SPDX-License-Identifier: GPL-2.0

//! The text of the pages that tools generate.

#![forbid(unsafe_code)]

mod grid;
pub mod rst;

pub use grid::Grid;
