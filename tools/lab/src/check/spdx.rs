// SPDX-License-Identifier: GPL-2.0
//! Each file names its licence at its top, where tools and people look for it.

use super::files::SourceFile;
use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;

/// What the line contains; cut in two, or this file would have it twice.
const MARK: &str = concat!("SPDX", "-License-Identifier: ");
/// The text of the licence itself, and what cargo writes.
const WITHOUT: &[&str] = &["LICENSE", "Cargo.lock"];
/// It may stand behind the name of an interpreter, and no later.
const LINES: usize = 2;

/// All files of the checkout.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let without = lab.those(|file| !WITHOUT.contains(&file.name()) && !has_mark(file));
    let complaints: Vec<_> = without
        .iter()
        .map(|file| format!("{}: no {MARK}line at its top", file.path.display()))
        .collect();
    Ok(Verdict::of(&complaints))
}

fn has_mark(file: &SourceFile) -> bool {
    let mut top = file.text().lines().take(LINES);
    top.any(|line| line.contains(MARK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_belongs_to_the_top() {
        let file = |text: &str| SourceFile {
            path: "x".into(),
            text: Some(text.to_owned()),
        };
        assert!(has_mark(&file(&format!("#!/bin/sh\n# {MARK}GPL-2.0\n"))));
        assert!(!has_mark(&file(&format!("a\nb\n# {MARK}GPL-2.0\n"))));
        assert!(!has_mark(&file("")));
    }
}
