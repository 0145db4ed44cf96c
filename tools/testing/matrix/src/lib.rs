// SPDX-License-Identifier: GPL-2.0

//! Kernels: which there are, what they need to be built for and booted, and their results.
//!
//! | module | what it is |
//! |---|---|
//! | [`kernels`] | those of Debian's archive |
//! | [`config`] | what a configuration says |
//! | [`guest`] | builds for one, boots and tests it by the lab |
//! | [`row`] | the results of one, and the table of all |

#![forbid(unsafe_code)]

pub mod config;
pub mod guest;
pub mod kernels;
pub mod row;
