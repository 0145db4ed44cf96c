// SPDX-License-Identifier: GPL-2.0

//! The order in which modules can be added so that each patch builds: what is used comes first, and
//! modules that use each other come together.

use std::collections::{BTreeMap, BTreeSet};

/// Which modules each module uses.
pub type Uses = BTreeMap<String, BTreeSet<String>>;

/// Groups of modules, each after all that it uses. Within a group, the most used module is first.
pub fn groups(uses: &Uses) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = uses
        .keys()
        .map(|name| (name.as_str(), reachable(uses, name)))
        .collect();
    let used_by = |name: &str| uses.values().filter(|uses| uses.contains(name)).count();
    let mut left: BTreeSet<&str> = uses.keys().map(String::as_str).collect();
    let mut groups = Vec::new();
    // The first module, in alphabetical order, that needs nothing of what is left but modules that
    // need it in turn. There is one: uses of groups of such modules have no circles.
    while let Some(first) = left.iter().copied().find(|name| {
        let needed = reach[name].iter().filter(|other| left.contains(*other));
        needed.clone().all(|other| reach[other].contains(name))
    }) {
        let together = |other: &&str| {
            *other == first || (reach[first].contains(other) && reach[other].contains(first))
        };
        let mut group: Vec<String> = left
            .iter()
            .copied()
            .filter(together)
            .map(str::to_owned)
            .collect();
        left.retain(|name| !group.iter().any(|taken| taken == name));
        group.sort_by_key(|name| std::cmp::Reverse(used_by(name)));
        groups.push(group);
    }
    groups
}

/// What `name` uses, and what that uses, and so on.
fn reachable<'a>(uses: &'a Uses, name: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&str> = uses[name].iter().map(String::as_str).collect();
    while let Some(name) = next.pop() {
        if seen.insert(name) {
            next.extend(uses.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_after_what_they_use() {
        let uses = [
            ("a", vec!["c"]),
            ("b", vec!["a", "d"]),
            ("c", vec![]),
            ("d", vec!["b", "c"]),
            ("e", vec!["b"]),
        ];
        let uses = uses.into_iter().map(|(name, uses)| {
            (
                name.to_owned(),
                uses.into_iter().map(str::to_owned).collect(),
            )
        });
        let groups = groups(&uses.collect());
        assert_eq!(groups, [vec!["c"], vec!["a"], vec!["b", "d"], vec!["e"]]);
    }
}
