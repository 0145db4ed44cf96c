// SPDX-License-Identifier: GPL-2.0

//! Why a line never ran: `tools/lab/coverage-why.toml`.
//!
//! A reason names its line by the text, since numbers change with each version; where a function has
//! the same text twice, by the text before it, too.

use serde::Deserialize;

use crate::function::Function;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasons {
    /// The reasons in it.
    #[serde(default)]
    pub line: Vec<Reason>,
}

/// Why one line never runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The file, as the report names it.
    pub file: String,
    /// The line, without indentation.
    pub text: String,
    /// The last line before it that is not empty, without indentation.
    #[serde(default)]
    pub after: Option<String>,
    /// Why.
    pub why: String,
}

/// A line that never ran.
#[derive(Debug, PartialEq, Eq)]
pub struct Missed {
    /// Which function.
    pub function: usize,
    /// Which line of it.
    pub number: usize,
    /// The reason, if there is one.
    pub why: Option<String>,
}

/// What came of the reasons.
#[derive(Debug, Default)]
pub struct Explained {
    /// Each line of the functions that are judged that never ran.
    pub missed: Vec<Missed>,
    /// Reasons that no line has: it is gone, or it runs now.
    pub stale: Vec<String>,
}

impl Explained {
    /// Whether each line that never ran has a reason.
    pub fn is_complete(&self) -> bool {
        self.missed.iter().all(|missed| missed.why.is_some())
    }
}

/// Finds the reason of each line that never ran.
pub fn explain(functions: &[Function], reasons: &[Reason]) -> Explained {
    let mut used = vec![false; reasons.len()];
    let mut explained = Explained::default();
    let judged = functions.iter().enumerate();
    for (index, function) in judged.filter(|(_, function)| function.group.is_judged()) {
        for number in function.missed() {
            let is_its = |reason| is_about(reason, function, number);
            let reason = reasons.iter().position(is_its);
            reason.iter().for_each(|&reason| used[reason] = true);
            explained.missed.push(Missed {
                function: index,
                number,
                why: reason.map(|reason| reasons[reason].why.clone()),
            });
        }
    }
    let stale = reasons.iter().zip(used).filter(|(_, used)| !used);
    explained.stale = stale
        .map(|(reason, _)| format!("{}: {}", reason.file, reason.text))
        .collect();
    explained
}

fn is_about(reason: &Reason, function: &Function, number: usize) -> bool {
    let after = reason.after.as_deref();
    reason.file == function.file
        && reason.text == function.text(number)
        && after.is_none_or(|after| after == function.text_before(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::{tests::function, Group};
    use std::path::Path;

    fn reason(text: &str, after: Option<&str>) -> Reason {
        Reason {
            file: "mm/mmap.c".into(),
            text: text.into(),
            after: after.map(Into::into),
            why: "cannot be".into(),
        }
    }

    #[test]
    fn a_line_that_never_ran_needs_a_reason() {
        let f = [function(Group::Seed, &["+if (x)", "-return 1;", "+y();"])];
        assert!(!explain(&f, &[]).is_complete());
        let all = explain(&f, &[reason("return 1;", None)]);
        assert!(all.is_complete() && all.stale.is_empty());
        assert_eq!(all.missed[0].number, 2);
    }

    #[test]
    fn the_line_before_tells_two_of_one_text_apart() {
        let f = [function(
            Group::Module,
            &["+if (x)", "-return 1;", "+if (y)", "-return 1;"],
        )];
        let one = explain(&f, &[reason("return 1;", Some("if (y)"))]);
        assert!(!one.is_complete());
        assert_eq!(one.missed[0].why, None);
        assert_eq!(one.missed[1].why.as_deref(), Some("cannot be"));
    }

    #[test]
    fn a_reason_of_a_line_that_runs_is_stale() {
        let f = [function(Group::Seed, &["+a();"])];
        let all = explain(&f, &[reason("a();", None), reason("gone();", None)]);
        assert!(all.is_complete());
        assert_eq!(all.stale, ["mm/mmap.c: a();", "mm/mmap.c: gone();"]);
    }

    #[test]
    fn only_the_six_functions_and_the_driver_are_judged() {
        let f = [Group::Called, Group::Library].map(|group| function(group, &["-a();"]));
        assert!(explain(&f, &[]).missed.is_empty());
    }

    #[test]
    fn the_projects_reasons_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab");
        let text = std::fs::read_to_string(root.join("coverage-why.toml")).unwrap();
        let reasons: Reasons = toml::from_str(&text).unwrap();
        for reason in reasons.line {
            assert!(reason.why.len() > 20, "{reason:?} explains nothing");
        }
    }
}
