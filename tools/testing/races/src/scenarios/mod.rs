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

const GROUPS: [&[Scenario]; 6] = [
    truncate::SCENARIOS,
    eof::SCENARIOS,
    quota::SCENARIOS,
    holes::SCENARIOS,
    faults::SCENARIOS,
    lifetime::SCENARIOS,
];

/// Returns all of them: the first one of each file, the second ones, and so on, so that each kind of
/// mistake is found early.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let most = GROUPS.map(<[_]>::len).into_iter().max().unwrap_or(0);
    (0..most).flat_map(|at| GROUPS.iter().filter_map(move |group| group.get(at)))
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
