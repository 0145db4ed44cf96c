// SPDX-License-Identifier: GPL-2.0

//! The scenarios: pairs of operations, and what is true after them.

mod eof;
mod faults;
mod holes;
mod lifetime;
mod quota;
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

/// Returns all of them.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let groups = [
        truncate::SCENARIOS,
        eof::SCENARIOS,
        quota::SCENARIOS,
        holes::SCENARIOS,
        faults::SCENARIOS,
        lifetime::SCENARIOS,
    ];
    groups.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = all().map(|one| one.name).collect();
        assert_eq!(names.len(), all().count());
    }
}
