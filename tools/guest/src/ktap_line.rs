// SPDX-License-Identifier: GPL-2.0

//! The kinds of lines in a KTAP report.

use crate::record::Outcome;

/// The number of lines before a failed test's result that are kept as its message.
const CONTEXT_LINES: usize = 40;

/// A parsed line `ok 3 name # SKIP why`.
#[derive(Debug)]
pub struct ResultLine {
    /// Its number, from 1.
    pub number: usize,
    /// Its name, or its number in brackets.
    pub name: String,
    /// How the test ended.
    pub outcome: Outcome,
    remark: String,
}

impl ResultLine {
    /// Parses a line without its indentation, if it is a result.
    pub fn parse(text: &str) -> Option<Self> {
        let (ok, rest) = match text.strip_prefix("not ok ") {
            Some(rest) => (false, rest),
            None => (true, text.strip_prefix("ok ")?),
        };
        let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = number.parse().ok()?;
        let (name, remark) = rest.split_once('#').unwrap_or((rest, ""));
        let name = name.trim().trim_start_matches("- ").trim();
        let (directive, why) = remark.trim().split_once(' ').unwrap_or((remark.trim(), ""));
        let (outcome, remark) = match directive.to_ascii_uppercase().as_str() {
            "SKIP" => (Outcome::Skip, why.trim().to_owned()),
            "TODO" | "XFAIL" if !ok => (Outcome::Skip, format!("expected to fail: {}", why.trim())),
            _ if ok => (Outcome::Pass, String::new()),
            _ => (Outcome::Fail, remark.trim().to_owned()),
        };
        Some(Self {
            number,
            name: if name.is_empty() {
                format!("({number})")
            } else {
                name.to_owned()
            },
            outcome,
            remark,
        })
    }

    /// Returns why the test failed or was skipped; `context` are the lines before the result.
    pub fn message(&self, context: &[String]) -> String {
        if self.outcome != Outcome::Fail {
            return self.remark.clone();
        }
        let kept = &context[context.len().saturating_sub(CONTEXT_LINES)..];
        let mut lines: Vec<&str> = kept
            .iter()
            .map(|line| line.trim_start_matches('#').trim())
            .filter(|line| !line.starts_with("time ") && !line.starts_with("rows "))
            .collect();
        if !self.remark.is_empty() {
            lines.push(&self.remark);
        }
        if lines.is_empty() {
            lines.push("it gave no reason");
        }
        lines.join("\n")
    }
}

/// Returns the name on a result line, if `line` is one.
pub fn result_name(line: &str) -> Option<String> {
    ResultLine::parse(line.trim()).map(|line| line.name)
}

/// Returns whether `line` is part of a report: a version, a plan or a result.
pub fn is_report_line(line: &str) -> bool {
    let text = line.trim();
    text.starts_with("KTAP version ") || parse_plan(text).is_some() || result_name(text).is_some()
}

/// Returns the number of tests in a plan line, `1..N`.
pub fn parse_plan(text: &str) -> Option<usize> {
    let number = text.strip_prefix("1..")?;
    number.split('#').next()?.trim().parse().ok()
}

/// Strips the time from `[ 12.345678] text`, the form on consoles; the log device has the text
/// alone.
pub fn without_timestamp(line: &str) -> &str {
    line.strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(stamp, _)| stamp.trim().parse::<f64>().is_ok())
        .map_or(line, |(_, text)| text)
}
