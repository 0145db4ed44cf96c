// SPDX-License-Identifier: GPL-2.0

//! The scenarios: pairs of operations, and what is true after them.

mod truncate;

use crate::cx::Cx;
use anyhow::Result;

/// A scenario.
pub struct Scenario {
    /// Its name: the two operations, A and B.
    pub name: &'static str,
    /// Sets up, runs the operations through [`Cx::race`] once, and checks what they did.
    pub run: fn(&Cx<'_>) -> Result<()>,
}

const fn scenario(name: &'static str, run: fn(&Cx<'_>) -> Result<()>) -> Scenario {
    Scenario { name, run }
}

/// All of them.
pub const ALL: &[&Scenario] = &[&truncate::FAULT_TRUNCATE];
