// SPDX-License-Identifier: GPL-2.0

//! Test cases.

use crate::area::Kind;
use crate::context::Context;
use crate::outcome::Result;

/// The object that a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// On any shared memory: once on a region and once on the device's own; on memfd with
    /// `--object memfd`.
    Each,
    /// On a file of memory: a region, or memfd.
    File,
    /// Only on rmmap, once.
    Rmmap,
    /// Only on rmmap, once, and it reloads the module.
    Reload,
    /// Once, with this other module of the project loaded, and unloaded afterwards.
    With(&'static str),
}

/// A test.
#[derive(Debug)]
pub struct Case {
    /// Its name, that of its function.
    pub name: &'static str,
    /// The rows of `Documentation/mmap-path.rst` that it covers.
    pub rows: &'static [&'static str],
    /// Its description, one line.
    pub about: &'static str,
    /// The object that it runs on.
    pub on: On,
    /// Its time limit in seconds, before `--time-scale`.
    pub seconds: u32,
    /// The test.
    pub run: fn(&Context) -> Result,
}

/// The default time limit, seconds.
pub const SECONDS: u32 = 30;

impl Case {
    /// Returns the kinds of object that the case runs on, when rmmap or memfd is tested.
    pub fn kinds(&self, memfd: bool) -> &'static [Kind] {
        match (self.on, memfd) {
            (On::Each | On::File, true) => &[Kind::Memfd],
            (On::Each, false) => &[Kind::Region, Kind::Device],
            (On::File | On::Rmmap | On::Reload | On::With(_), false) => &[Kind::Region],
            (On::Rmmap | On::Reload | On::With(_), true) => &[],
        }
    }

    /// Returns the name, with the kind of object where there are several.
    pub fn full_name(&self, kind: Kind) -> String {
        match (self.on, kind) {
            (On::Each, Kind::Region) => format!("{}/region", self.name),
            (On::Each, Kind::Device) => format!("{}/device", self.name),
            _ => self.name.to_owned(),
        }
    }

    /// Returns whether the user selected it.
    pub fn is_wanted(&self, kind: Kind, patterns: &[String]) -> bool {
        let name = self.full_name(kind);
        let is = |p: &String| name.contains(p.as_str()) || self.rows.iter().any(|r| is_row(p, r));
        patterns.is_empty() || patterns.iter().any(is)
    }
}

/// Returns whether a pattern selects this row: by its name, or by that of its group (`MK-`).
pub fn is_row(pattern: &str, row: &str) -> bool {
    row == pattern || (pattern.ends_with('-') && row.starts_with(pattern))
}

/// Defines a table of cases: `cases! { Each lazy ["MK-05"] "description"; ... }`. A time limit in
/// seconds may follow the description; `With("rust_mm_ops") name` is a test of another module.
#[macro_export]
macro_rules! cases {
    ($($on:ident $(($module:literal))? $run:ident [$($row:literal),*] $about:literal $(, $seconds:literal)?;)*) => {
        /// The tests of this file.
        pub const CASES: &[$crate::case::Case] = &[$(
            $crate::case::Case {
                name: stringify!($run),
                rows: &[$($row),*],
                about: $about,
                on: $crate::case::On::$on$(($module))?,
                seconds: {
                    #[allow(unused_mut, unused_assignments, reason = "the limit is optional")]
                    let mut seconds = $crate::case::SECONDS;
                    $(seconds = $seconds;)?
                    seconds
                },
                run: $run,
            },
        )*];
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::all;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique() {
        let mut seen = HashSet::new();
        for case in all() {
            assert!(seen.insert(case.name), "two tests are called {}", case.name);
        }
    }

    #[test]
    fn patterns_pick_by_name_and_row() {
        let case = Case {
            name: "lazy_touch",
            rows: &["MK-05"],
            about: "",
            on: On::Each,
            seconds: 1,
            run: |_| Ok(()),
        };
        let wanted = |p: &str| case.is_wanted(Kind::Device, &[p.to_owned()]);
        assert!(wanted("lazy") && wanted("MK-") && wanted("MK-05") && wanted("touch/device"));
        assert!(!wanted("MK-0") && !wanted("/region") && !wanted("locked"));
    }
}
