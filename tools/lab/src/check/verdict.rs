// SPDX-License-Identifier: GPL-2.0
//! What a check found, and the sum of all.

use anyhow::Result;
use std::fmt;
use std::time::Duration;

/// The exit status when a check could not be made.
const BROKE: u8 = crate::LAB_BROKE;

/// How many lines of a failed check's output are shown; the log has all.
const SHOWN: usize = 60;

/// The end of one check.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Passed,
    /// These are the complaints.
    Failed(String),
    /// It was not made, for this reason.
    Skipped(String),
}

impl Verdict {
    /// Passed when there is no complaint.
    pub fn of(complaints: &[String]) -> Self {
        if complaints.is_empty() {
            Self::Passed
        } else {
            Self::Failed(complaints.join("\n"))
        }
    }
}

/// Counts verdicts and prints each as it comes.
#[derive(Debug, Default)]
pub struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
    broke: bool,
}

impl Tally {
    /// Tells and counts the verdict of the check `name`; an error is one that could not be made.
    pub fn add(&mut self, name: &str, elapsed: Duration, verdict: Result<Verdict>) {
        let line = |word: &str| println!("{word} {name:14} {:6.1} s", elapsed.as_secs_f64());
        match verdict {
            Ok(Verdict::Passed) => {
                self.passed += 1;
                line("ok  ");
            }
            Ok(Verdict::Failed(why)) => {
                self.failed += 1;
                line("FAIL");
                print!("{}", indented(&why));
            }
            Ok(Verdict::Skipped(why)) => {
                self.skipped += 1;
                println!("skip {name:14} {why}");
            }
            Err(error) => {
                self.failed += 1;
                self.broke = true;
                line("FAIL");
                print!("{}", indented(&format!("cannot check: {error:#}")));
            }
        }
    }

    /// 0 when nothing failed, 1 when something did, 69 when a check could not be made.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self { broke: true, .. } => BROKE,
            Self { failed: 0, .. } => 0,
            _ => 1,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
            ..
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    let mut shown = String::new();
    for line in lines.iter().take(SHOWN) {
        shown.push_str("     ");
        shown.push_str(line);
        shown.push('\n');
    }
    if let Some(more) = lines.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        shown.push_str(&format!("     ... and {more} lines more\n"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn sum_and_exit_code_tell_failed_from_broken() {
        let mut tally = Tally::default();
        tally.add("a", Duration::ZERO, Ok(Verdict::Passed));
        tally.add("b", Duration::ZERO, Ok(Verdict::Skipped("why".into())));
        assert_eq!(tally.exit_code(), 0);
        tally.add("c", Duration::ZERO, Ok(Verdict::of(&["bad".into()])));
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 1 skipped");
        assert_eq!(tally.exit_code(), 1);
        tally.add("d", Duration::ZERO, Err(anyhow!("no such program")));
        assert_eq!(tally.to_string(), "1 passed, 2 failed, 1 skipped");
        assert_eq!(tally.exit_code(), 69);
    }

    #[test]
    fn long_output_is_cut_and_says_so() {
        let text = indented(&"x\n".repeat(SHOWN + 5));
        assert_eq!(text.lines().count(), SHOWN + 1);
        assert!(text.ends_with("5 lines more\n"));
        assert!(!indented("x\n").contains("more"));
    }
}
