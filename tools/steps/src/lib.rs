// SPDX-License-Identifier: GPL-2.0
//! The ground floor of the lab: the checkout, and steps that are skipped while their inputs stay the
//! same.
#![forbid(unsafe_code)]

pub mod project;
pub mod steps;
