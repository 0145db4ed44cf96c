// SPDX-License-Identifier: GPL-2.0

//! The lines of a report: a test on an object, or a row that no program can reach.

use crate::area::Kind;
use crate::args::{Args, Object};
use crate::case::{is_row, Case};
use crate::rows::{self, Reach, Row};
use crate::suite;

/// One line of a report.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// A test, and the object that it runs on.
    Test(&'static Case, Kind),
    /// A row without a test: reported as skipped, so that no row is missing.
    Unreachable(&'static Row),
}

impl Entry {
    /// Returns the name in the report.
    pub fn name(&self) -> String {
        match self {
            Self::Test(case, kind) => case.full_name(*kind),
            Self::Unreachable(row) => format!("unreachable_{}", row.id),
        }
    }

    /// Returns the rows that it covers.
    pub fn rows(&self) -> Vec<&'static str> {
        match self {
            Self::Test(case, _) => case.rows.to_vec(),
            Self::Unreachable(row) => vec![&row.id],
        }
    }

    /// Returns its description, one line.
    pub fn about(&self) -> String {
        match self {
            Self::Test(case, _) => case.about.to_owned(),
            Self::Unreachable(row) => format!("cannot be reached: {}", row.why),
        }
    }

    /// Returns whether the user selected it.
    fn is_wanted(&self, patterns: &[String]) -> bool {
        match self {
            Self::Test(case, kind) => case.is_wanted(*kind, patterns),
            Self::Unreachable(row) => {
                let is = |p: &String| is_row(p, &row.id) || self.name().contains(p.as_str());
                patterns.is_empty() || patterns.iter().any(is)
            }
        }
    }
}

/// Returns the selected entries, in the order of the report.
pub fn pick(args: &Args) -> Vec<Entry> {
    let memfd = args.object == Object::Memfd;
    let tests = suite::all().flat_map(|case| {
        case.kinds(memfd)
            .iter()
            .map(move |kind| Entry::Test(case, *kind))
    });
    // The rows are about the device's path, not memfd's.
    let unreachable = rows::all().filter(|row| !memfd && row.reach == Reach::No);
    tests
        .chain(unreachable.map(Entry::Unreachable))
        .filter(|entry| entry.is_wanted(&args.test))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(object: Object, pattern: &str) -> Vec<String> {
        let args = Args {
            test: vec![pattern.to_owned()],
            object,
            ..Args::default()
        };
        pick(&args).iter().map(Entry::name).collect()
    }

    #[test]
    fn rows_that_cannot_be_reached_are_in_the_report() {
        assert_eq!(names(Object::Rmmap, "MR-26"), ["unreachable_MR-26"]);
        assert_eq!(names(Object::Memfd, "MR-26"), [""; 0]);
    }

    #[test]
    fn tests_are_picked_by_row_once_per_object() {
        let names = names(Object::Rmmap, "MK-09");
        assert!(
            names.contains(&"map_locked_populates/region".into())
                && names.contains(&"map_locked_populates/device".into()),
            "{names:?}"
        );
    }
}
