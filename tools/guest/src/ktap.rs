// SPDX-License-Identifier: GPL-2.0

//! Reads KTAP, the kernel's test report, line by line.
//!
//! Other lines between those of a report (console messages, a program's own output) do not change a
//! result. Broken promises do: an incomplete plan, a number out of order, and a suite whose own
//! result contradicts its tests are failures here.
//!
//! The format: `Documentation/dev-tools/ktap.rst`. KUnit indents a level by four columns, while
//! that page says two, so the column of a level's version line identifies the level.

use crate::ktap_line::{parse_plan, without_timestamp, ResultLine};
use crate::record::Outcome;
pub use crate::record::Test;

/// The tests that follow one version line.
#[derive(Debug, Default)]
struct Level {
    column: usize,
    /// From KUnit's `# Subtest:` line; known before the suite's own result is.
    name: Option<String>,
    plan: Option<usize>,
    seen: usize,
    /// Finished tests, held back until the name of the suite is certain.
    done: Vec<Test>,
}

/// A reader that takes lines and returns tests as they finish.
#[derive(Debug, Default)]
pub struct Parser {
    levels: Vec<Level>,
    context: Vec<String>,
    times: Vec<(String, u64)>,
    rows: Vec<(String, Vec<String>)>,
    reports: usize,
}

impl Parser {
    /// Makes a reader that has read nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one line and returns the tests that it completes.
    pub fn line(&mut self, line: &str) -> Vec<Test> {
        let line = without_timestamp(line.trim_end());
        let text = line.trim_start();
        let column = line.len() - text.len();

        if text.starts_with("KTAP version ") || text.starts_with("TAP version ") {
            let finished = self.abandon(column);
            self.context.clear();
            self.reports += 1;
            self.levels.push(Level {
                column,
                ..Level::default()
            });
            return finished;
        }
        if let Some(plan) = parse_plan(text) {
            if let Some(level) = self.level_at(column).filter(|level| level.plan.is_none()) {
                level.plan = Some(plan);
                return Vec::new();
            }
        }
        if let Some(result) = ResultLine::parse(text) {
            return self.result(column, result);
        }
        if let Some(diagnostic) = text.strip_prefix('#') {
            self.diagnostic(column, diagnostic.trim());
        }
        if !text.is_empty() {
            self.context.push(text.to_owned());
        }
        Vec::new()
    }

    /// Ends the report. Returns announced tests without a result as failures.
    pub fn finish(mut self) -> Vec<Test> {
        let mut finished = self.abandon(0);
        if self.reports == 0 {
            finished.push(failure("(report)", "there is no KTAP report in the output"));
        }
        finished
    }

    fn level_at(&mut self, column: usize) -> Option<&mut Level> {
        self.levels.iter_mut().find(|level| level.column == column)
    }

    fn diagnostic(&mut self, column: usize, text: &str) {
        if let Some(name) = text.strip_prefix("Subtest:") {
            if let Some(level) = self.level_at(column) {
                level.name = Some(name.trim().to_owned());
            }
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["time", name, ms] => {
                if let Ok(ms) = ms.parse() {
                    self.times.push(((*name).to_owned(), ms));
                }
            }
            ["rows", name, rows @ ..] => {
                let rows = rows.iter().map(|&row| row.to_owned()).collect();
                self.rows.push(((*name).to_owned(), rows));
            }
            _ => {}
        }
    }

    /// Handles a result line: of a test, or of a suite if a deeper level is open.
    fn result(&mut self, column: usize, line: ResultLine) -> Vec<Test> {
        let mut children = Vec::new();
        let mut had_children = false;
        while let Some(mut level) = self.pop_from(column + 1) {
            had_children = true;
            level.done.append(&mut children);
            let outermost = self.levels.last().is_none_or(|next| next.column <= column);
            if outermost {
                level.name = Some(line.name.clone());
            }
            children = close(level, !outermost);
        }
        if self.level_at(column).is_none() {
            self.reports += 1;
            children.push(failure(
                &line.name,
                "its result stands outside of any report: the KTAP version line was lost",
            ));
            self.levels.push(Level {
                column,
                ..Level::default()
            });
        }
        let context = std::mem::take(&mut self.context);
        let ms = take(&mut self.times, &line.name);
        let rows = take(&mut self.rows, &line.name).unwrap_or_default();
        let Some(level) = self.level_at(column) else {
            return children;
        };
        level.seen += 1;
        if line.number != level.seen {
            let message = format!(
                "result {} came where {} was expected: a result was lost or printed twice",
                line.number, level.seen
            );
            children.push(failure(&format!("{} (order)", line.name), &message));
            level.seen = line.number;
        }
        let children_failed = children.iter().any(|test| test.outcome == Outcome::Fail);
        if !had_children || (line.outcome == Outcome::Fail && !children_failed) {
            children.push(Test {
                message: line.message(&context),
                name: line.name,
                outcome: line.outcome,
                ms,
                rows,
            });
        }
        level.done.append(&mut children);
        if self.levels.len() == 1 {
            return self
                .levels
                .first_mut()
                .map_or_else(Vec::new, |top| std::mem::take(&mut top.done));
        }
        Vec::new()
    }

    fn pop_from(&mut self, column: usize) -> Option<Level> {
        if self.levels.last()?.column < column {
            return None;
        }
        self.levels.pop()
    }

    /// Closes the levels at `column` and to the right of it, whose suites have no result. Their
    /// tests move to the enclosing level, or to the caller if there is none.
    fn abandon(&mut self, column: usize) -> Vec<Test> {
        let mut orphans = Vec::new();
        while let Some(mut level) = self.pop_from(column) {
            level.done.append(&mut orphans);
            orphans = close(level, !self.levels.is_empty());
        }
        match self.levels.last_mut() {
            Some(parent) => {
                parent.done.append(&mut orphans);
                Vec::new()
            }
            None => orphans,
        }
    }
}

/// Removes and returns the diagnostics of a test.
fn take<T>(said: &mut Vec<(String, T)>, name: &str) -> Option<T> {
    let position = said.iter().position(|(of, _)| of == name)?;
    Some(said.swap_remove(position).1)
}

/// Returns the tests of a level that ends, with a failure for each planned test without result, and
/// one for the suite itself when it is `abandoned`, that is, ends without a result.
fn close(level: Level, abandoned: bool) -> Vec<Test> {
    let mut tests = level.done;
    match level.plan {
        Some(plan) if level.seen < plan => {
            for number in level.seen + 1..=plan {
                let message = format!("not among the {} results of {plan}", level.seen);
                tests.push(failure(&format!("({number} of {plan})"), &message));
            }
        }
        Some(plan) if level.seen > plan => {
            let message = format!("{} results, but the plan says {plan}", level.seen);
            tests.push(failure("(plan)", &message));
        }
        Some(_) => {}
        None => tests.push(failure("(plan)", "the report has no plan line 1..N")),
    }
    if let Some(name) = level.name {
        for test in &mut tests {
            test.name = format!("{name}/{}", test.name);
        }
        if abandoned {
            tests.push(failure(&name, "the suite began and has no result"));
        }
    }
    tests
}

/// Makes a failure that the reader found, not the test.
pub fn failure(name: &str, message: &str) -> Test {
    Test::new(name, Outcome::Fail, message)
}

#[cfg(test)]
#[path = "ktap_tests.rs"]
mod tests;
