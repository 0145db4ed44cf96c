// SPDX-License-Identifier: GPL-2.0

//! A set of addresses, kept as sorted, disjoint ranges.

use std::ops::Range;

/// A set of `usize`, in as few ranges as possible.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<usize>>);

impl Ranges {
    /// Returns a set of one range.
    pub(crate) fn of(range: Range<usize>) -> Self {
        let mut set = Self::default();
        set.insert(range);
        set
    }

    /// Adds a range; parts that are already in the set stay.
    pub(crate) fn insert(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let mut new = range;
        self.0.retain(|old| {
            let apart = old.end < new.start || new.end < old.start;
            if !apart {
                new = new.start.min(old.start)..new.end.max(old.end);
            }
            apart
        });
        let at = self.0.partition_point(|old| old.start < new.start);
        self.0.insert(at, new);
    }

    /// Removes a range; parts that are not in the set do not matter.
    pub(crate) fn remove(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let old = std::mem::take(&mut self.0);
        for r in old {
            let left = r.start..r.end.min(range.start);
            let right = r.start.max(range.end)..r.end;
            self.0
                .extend([left, right].into_iter().filter(|part| !part.is_empty()));
        }
    }

    /// Returns whether every element of `range` is in the set.
    pub(crate) fn contains(&self, range: &Range<usize>) -> bool {
        range.is_empty()
            || self
                .0
                .iter()
                .any(|r| r.start <= range.start && range.end <= r.end)
    }

    /// Returns the ranges in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.0.iter().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[Range<usize>]) -> Ranges {
        Ranges(ranges.to_vec())
    }

    #[test]
    fn neighbours_join() {
        let mut s = Ranges::of(0..4);
        s.insert(8..12);
        assert_eq!(s, set(&[0..4, 8..12]));
        s.insert(4..8);
        assert_eq!(s, Ranges::of(0..12));
    }

    #[test]
    fn removal_splits_and_trims() {
        let mut s = Ranges::of(0..12);
        s.remove(4..8);
        assert_eq!(s, set(&[0..4, 8..12]));
        s.remove(2..10);
        assert_eq!(s, set(&[0..2, 10..12]));
        s.remove(0..100);
        assert_eq!(s, set(&[]));
    }

    #[test]
    fn removal_of_nothing_changes_nothing() {
        let mut s = Ranges::of(4..8);
        s.remove(5..5);
        s.remove(0..4);
        s.remove(8..9);
        assert_eq!(s, Ranges::of(4..8));
    }

    #[test]
    fn containment_is_of_the_whole() {
        let s = set(&[0..4, 8..12]);
        assert!(s.contains(&(1..3)) && s.contains(&(8..12)) && s.contains(&(6..6)));
        assert!(!s.contains(&(3..9)) && !s.contains(&(4..5)));
    }
}
