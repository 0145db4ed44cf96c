// SPDX-License-Identifier: GPL-2.0

//! The trees and the comparison for people.

use std::fmt::Write;

use super::{
    compare::{Comparison, Row, Side},
    path,
    tree::{groups, Arg, Call, Group, Kind},
    Trace,
};
use crate::style::{BAD, DIM, GOOD, HEAD, OWN};

/// Width of a line.
const WIDTH: usize = 100;

/// Width of one side of a comparison.
const SIDE: usize = 48;

/// Returns a run.
pub fn trace(trace: &Trace) -> String {
    let mut text = format!("{HEAD}{}{HEAD:#}\n", trace.subject);
    let _ = writeln!(text, "  {DIM}{}{DIM:#}", trace.summary());
    for note in &trace.notes {
        let _ = writeln!(text, "  {BAD}!{BAD:#} {note}");
    }
    let _ = writeln!(
        text,
        "  {DIM}Share of the whole call's time (including the cost of recording), function, \
         arguments, result.{DIM:#}"
    );
    if trace.calls.is_empty() {
        text.push_str("The tracer recorded no call.\n");
    }
    for group in groups(&trace.calls) {
        text.push_str(&heading(&group));
        tree(&mut text, group.first, None, group.first.us, 0);
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns the heading of a group.
fn heading(group: &Group<'_>) -> String {
    let times = match group.count {
        1 => String::new(),
        count => format!(", {count} times, the first is shown"),
    };
    let us = match group.us {
        us if us > 0.0 => format!(", {us:.1} µs"),
        _ => String::new(),
    };
    let what = match group.first.answered_by.as_deref() {
        Some(who) => format!("Page fault{times}{us}, answered by {who}"),
        None => format!("{}{times}{us}", group.first.name),
    };
    format!("{HEAD}{what}{HEAD:#}\n")
}

/// Writes a call, and below it its callees.
fn tree(text: &mut String, call: &Call, parent: Option<&Call>, whole: Option<f64>, depth: usize) {
    let share = match (call.us, whole) {
        (Some(us), Some(whole)) if whole > 0.0 => format!("{:3.0}%", us / whole * 100.0),
        _ => "    ".to_owned(),
    };
    let own = call.kind == Kind::Module;
    let name = format!("{}{}", " ".repeat(depth), call.name);
    let args = arguments(call, parent);
    let ret = returned(call, parent);
    let plain = share.len() + name.len() + args.chars().count() + ret.chars().count() + 3;
    let explanation = path::explanation(&call.name);
    let explanation = match plain + explanation.len() + 3 <= WIDTH && !explanation.is_empty() {
        true => format!("  {DIM}{explanation}{DIM:#}"),
        false => String::new(),
    };
    let name = if own {
        format!("{OWN}{name}{OWN:#}")
    } else {
        name
    };
    let ret = match call.ret.as_ref().is_some_and(|ret| ret.error) {
        true => format!("{BAD}{ret}{BAD:#}"),
        false => ret,
    };
    let _ = writeln!(text, "{share} {name}{args}{ret}{explanation}");
    for group in groups(&call.calls) {
        tree(text, group.first, Some(call), whole, depth + 1);
        if group.count > 1 {
            let indent = " ".repeat(depth + 1);
            let share = match whole {
                Some(whole) if whole > 0.0 => format!("{:3.0}%", group.us / whole * 100.0),
                _ => "    ".to_owned(),
            };
            let _ = writeln!(
                text,
                "{share} {indent}{DIM}… {} times in all{DIM:#}",
                group.count
            );
        }
    }
}

/// Returns the arguments, without those that the caller also has.
fn arguments(call: &Call, parent: Option<&Call>) -> String {
    let is_new = |arg: &&Arg| {
        let known = parent.and_then(|parent| parent.arg(&arg.name));
        known.is_none_or(|known| known.raw != arg.value.raw)
    };
    let args: Vec<_> = call
        .args
        .iter()
        .filter(is_new)
        .map(|arg| format!("{}={}", arg.name, arg.value.text))
        .collect();
    match args.is_empty() {
        true => String::new(),
        false => format!("({})", args.join(" ")),
    }
}

/// Returns the return value, unless the caller returns the same.
fn returned(call: &Call, parent: Option<&Call>) -> String {
    let Some(ret) = &call.ret else {
        return String::new();
    };
    let passed_on = parent.and_then(|parent| parent.ret.as_ref());
    match passed_on.is_some_and(|passed_on| passed_on.raw == ret.raw) && !ret.error {
        true => String::new(),
        false => format!(" = {}", ret.text),
    }
}

/// Returns two runs side by side.
pub fn comparison(a: &Trace, b: &Trace, comparison: &Comparison) -> String {
    let mut text = format!(
        "{HEAD}A: {}{HEAD:#}\n  {DIM}{}{DIM:#}\n{HEAD}B: {}{HEAD:#}\n  {DIM}{}{DIM:#}\n",
        a.subject,
        a.summary(),
        b.subject,
        b.summary()
    );
    for note in a.notes.iter().chain(&b.notes) {
        let _ = writeln!(text, "  {BAD}!{BAD:#} {note}");
    }
    for (index, row) in comparison.rows.iter().enumerate() {
        let is_first = comparison.first_difference == Some(index);
        if is_first {
            let _ = writeln!(text, "{BAD}--- the first difference ---{BAD:#}");
        }
        let left = half(row, row.a.as_ref(), row.b.as_ref());
        let right = half(row, row.b.as_ref(), row.a.as_ref());
        let mark = match (row.differs, &row.a, &row.b) {
            (false, ..) => "  ".to_owned(),
            (true, Some(_), None) => format!("{BAD}< {BAD:#}"),
            (true, None, Some(_)) => format!("{BAD}> {BAD:#}"),
            (true, ..) => format!("{BAD}≠ {BAD:#}"),
        };
        let fill = " ".repeat(SIDE.saturating_sub(left.chars().count()));
        let _ = writeln!(text, "{}", format!("{left}{fill} {mark}{right}").trim_end());
    }
    if comparison.first_difference.is_none() {
        let _ = writeln!(text, "{GOOD}Both took the same path.{GOOD:#}");
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns a side of a row, in the width of the column.
fn half(row: &Row, side: Option<&Side>, other: Option<&Side>) -> String {
    let Some(side) = side else {
        return String::new();
    };
    let said = row.said(side, other);
    let line = format!("{}{} {said}", " ".repeat(side.depth), side.name);
    let line = line.trim_end();
    match line.chars().count() > SIDE {
        true => line.chars().take(SIDE - 1).chain(['…']).collect(),
        false => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{compare, decode::Returns, subject::Outcome, Subject};

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn call(name: &str, us: f64, calls: Vec<Call>) -> Call {
        let mut call = Call {
            args: vec![Arg::new("len", "0x10000"), Arg::new("prot", "0x3")],
            us: Some(us),
            calls,
            ..Call::function(name)
        };
        call.returned(Returns::Address, "0x7f0000000000");
        call
    }

    fn run(calls: Vec<Call>) -> Trace {
        let subject = Subject::Command(vec!["/bin/true".into()]);
        let outcome = Outcome {
            result: "exit status 0".into(),
            ..Outcome::default()
        };
        Trace::new(&subject, outcome, calls, Vec::new())
    }

    #[test]
    fn what_the_caller_got_and_gives_is_not_repeated() {
        let text = plain(&trace(&run(vec![call(
            "do_mmap",
            10.0,
            vec![call("mmap_region", 5.0, vec![])],
        )])));
        assert!(
            text.contains("\n100% do_mmap(len=64 KiB prot=PROT_READ|PROT_WRITE) = 0x7f0000000000"),
            "{text}"
        );
        assert!(text.contains("\n 50%  mmap_region  seed:"), "{text}");
    }

    #[test]
    fn faults_that_went_the_same_way_are_shown_once() {
        let fault = || Call {
            answered_by: Some("shmem".into()),
            us: Some(2.0),
            ..Call::function("handle_mm_fault")
        };
        let text = plain(&trace(&run(vec![fault(), fault()])));
        let heading = "Page fault, 2 times, the first is shown, 4.0 µs, answered by shmem";
        assert!(text.contains(heading), "{text}");
        assert_eq!(text.matches("handle_mm_fault").count(), 1);
    }

    #[test]
    fn errors_are_shown_at_every_level() {
        let fail = |mut call: Call| {
            call.returned(Returns::Address, "0xfffffffffffffffa");
            call
        };
        let inner = fail(call("mmap_region", 1.0, vec![]));
        let text = plain(&trace(&run(vec![fail(call("do_mmap", 2.0, vec![inner]))])));
        assert_eq!(text.matches("= ENXIO").count(), 2, "{text}");
    }

    #[test]
    fn the_first_difference_is_marked_once() {
        let a = run(vec![call("do_mmap", 1.0, vec![call("hook", 1.0, vec![])])]);
        let b = run(vec![call("do_mmap", 1.0, vec![call("shmem", 1.0, vec![])])]);
        let text = plain(&comparison(&a, &b, &compare::compare(&a, &b)));
        assert_eq!(text.matches("the first difference").count(), 1);
        let mark = text.find("--- the").unwrap();
        assert!(text.find("do_mmap").unwrap() < mark && mark < text.find(" hook").unwrap());
        let same = plain(&comparison(&a, &a, &compare::compare(&a, &a)));
        assert!(same.ends_with("Both took the same path."), "{same}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    }
}
