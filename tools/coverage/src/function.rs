// SPDX-License-Identifier: GPL-2.0

//! Functions with their lines, and how often each ran.

use serde::Serialize;
use std::collections::BTreeMap;

/// What a function is to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// One of the six of the walk that rmmap began with.
    Seed,
    /// Called by one of them.
    Called,
    /// Of the driver, `rust/rmmap`.
    Module,
    /// Of the library, as far as it is linked into the driver.
    Library,
}

impl Group {
    /// All of them, in the order of the report.
    pub const ALL: [Group; 4] = [Group::Seed, Group::Called, Group::Module, Group::Library];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Group::Seed => "The six functions",
            Group::Called => "The functions that they call",
            Group::Module => "The driver, rust/rmmap",
            Group::Library => "The library, rust/kernel_mm, as linked into the driver",
        }
    }

    /// Whether each of its lines has to run, or to be explained.
    pub fn is_judged(self) -> bool {
        matches!(self, Group::Seed | Group::Module)
    }
}

/// A line that the compiler made code for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// How often it ran.
    pub count: u64,
    /// Ways out of its conditions.
    pub branches: usize,
    /// How many of them were taken.
    pub taken: usize,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// What it is.
    pub group: Group,
    /// Its name in the source.
    pub name: String,
    /// Its file, relative to the source's top folder.
    pub file: String,
    /// Its lines by number.
    pub lines: BTreeMap<usize, Line>,
    /// The text of the file, for those who show or explain a line.
    pub text: Vec<String>,
}

impl Function {
    /// How many of its lines ran.
    pub fn lines_hit(&self) -> usize {
        self.lines.values().filter(|line| line.count > 0).count()
    }

    /// Ways out of its conditions.
    pub fn branches(&self) -> usize {
        self.lines.values().map(|line| line.branches).sum()
    }

    /// How many of them were taken.
    pub fn branches_taken(&self) -> usize {
        self.lines.values().map(|line| line.taken).sum()
    }

    /// The numbers of the lines that never ran.
    pub fn missed(&self) -> impl Iterator<Item = usize> + '_ {
        let missed = self.lines.iter().filter(|(_, line)| line.count == 0);
        missed.map(|(number, _)| *number)
    }

    /// The text of a line, without indentation.
    pub fn text(&self, number: usize) -> &str {
        let line = number.checked_sub(1).and_then(|index| self.text.get(index));
        line.map_or("", |line| line.trim())
    }

    /// The last line before `number` that is not empty.
    pub fn text_before(&self, number: usize) -> &str {
        let mut before = (1..number).rev().map(|number| self.text(number));
        before.find(|text| !text.is_empty()).unwrap_or("")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A function whose line `n` is the nth of `text`; those that begin with `-` never ran, those
    /// without a sign have no code.
    pub fn function(group: Group, text: &[&str]) -> Function {
        let mut lines = BTreeMap::new();
        for (index, line) in text.iter().enumerate() {
            let count = match line.chars().next() {
                Some('-') => 0,
                Some('+') => 3,
                _ => continue,
            };
            let line = Line {
                count,
                branches: 2,
                taken: count.min(1) as usize,
            };
            lines.insert(index + 1, line);
        }
        let text = text.iter().map(|line| line.replace(['+', '-'], "\t"));
        Function {
            group,
            name: "f".into(),
            file: "mm/mmap.c".into(),
            lines,
            text: text.collect(),
        }
    }

    #[test]
    fn lines_and_branches_are_counted() {
        let f = function(Group::Seed, &["{", "+a();", "", "-b();", "}"]);
        assert_eq!((f.lines.len(), f.lines_hit()), (2, 1));
        assert_eq!((f.branches(), f.branches_taken()), (4, 1));
        assert_eq!(f.missed().collect::<Vec<_>>(), [4]);
        assert_eq!((f.text(4), f.text_before(4)), ("b();", "a();"));
        assert_eq!((f.text(0), f.text(9), f.text_before(1)), ("", "", ""));
    }
}
