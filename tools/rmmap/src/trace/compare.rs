// SPDX-License-Identifier: GPL-2.0

//! Two runs side by side, and their first difference.

use serde::Serialize;

use super::{
    tree::{groups, Call},
    Trace,
};

/// One run's side of a row: a call, or several consecutive ones with the same path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The depth of the call.
    pub depth: usize,
    /// Its name.
    pub name: String,
    /// The facts to compare: flags, errors, the answering code, counts. Addresses are not among
    /// them.
    pub facts: Vec<(String, String)>,
}

/// A row: the same call in both runs, or a call of one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The first run.
    pub a: Option<Side>,
    /// The second run.
    pub b: Option<Side>,
    /// Whether they differ here.
    pub differs: bool,
}

/// The comparison.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// All rows.
    pub rows: Vec<Row>,
    /// Index of the first row in which the runs differ.
    pub first_difference: Option<usize>,
}

/// Arguments that describe the request; the others are addresses, which differ from run to run.
const COMPARED: [&str; 10] = [
    "len",
    "prot",
    "flags",
    "vm_flags",
    "fault_flags",
    "access",
    "answer",
    "order",
    "hook",
    "error_code",
];

/// Compares two runs.
pub fn compare(a: &Trace, b: &Trace) -> Comparison {
    let rows = align(&sides(&a.calls), &sides(&b.calls));
    Comparison {
        first_difference: rows.iter().position(|row| row.differs),
        rows,
    }
}

/// Returns the calls of a run as a list.
fn sides(calls: &[Call]) -> Vec<Side> {
    let mut list = Vec::new();
    add(&mut list, calls, None, 0);
    list
}

fn add(list: &mut Vec<Side>, calls: &[Call], parent: Option<&Call>, depth: usize) {
    for group in groups(calls) {
        list.push(Side {
            depth,
            name: group.first.name.clone(),
            facts: facts(group.first, parent, group.count),
        });
        add(list, &group.first.calls, Some(group.first), depth + 1);
    }
}

/// Returns the facts to compare of a call, except those that it only got from its caller.
fn facts(call: &Call, parent: Option<&Call>, count: usize) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = Vec::new();
    if count > 1 {
        facts.push(("times".to_owned(), count.to_string()));
    }
    for arg in &call.args {
        let known = parent.and_then(|parent| parent.arg(&arg.name));
        if COMPARED.contains(&arg.name.as_str()) && known != Some(&arg.value) {
            facts.push((arg.name.clone(), arg.value.text.clone()));
        }
    }
    if let Some(ret) = &call.ret {
        let text = if ret.error { ret.text.as_str() } else { "ok" };
        facts.push(("returns".to_owned(), text.to_owned()));
    }
    let known = parent.and_then(|parent| parent.answered_by.as_ref());
    if let Some(who) = call.answered_by.as_ref().filter(|who| known != Some(who)) {
        facts.push(("answered by".to_owned(), who.clone()));
    }
    facts
}

/// Aligns the same calls: finds the longest common subsequence of names and depths.
fn align(a: &[Side], b: &[Side]) -> Vec<Row> {
    let is_same = |i: usize, j: usize| a[i].depth == b[j].depth && a[i].name == b[j].name;
    // longest[i][j]: how many calls a[i..] and b[j..] have in common.
    let mut longest = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = match is_same(i, j) {
                true => longest[i + 1][j + 1] + 1,
                false => longest[i + 1][j].max(longest[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut rows = Vec::new();
    while i < a.len() || j < b.len() {
        let both = i < a.len() && j < b.len();
        if both && is_same(i, j) {
            rows.push(Row {
                differs: a[i].facts != b[j].facts,
                a: Some(a[i].clone()),
                b: Some(b[j].clone()),
            });
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || both && longest[i + 1][j] >= longest[i][j + 1] {
            rows.push(Row {
                a: Some(a[i].clone()),
                b: None,
                differs: true,
            });
            i += 1;
        } else {
            rows.push(Row {
                a: None,
                b: Some(b[j].clone()),
                differs: true,
            });
            j += 1;
        }
    }
    rows
}

impl Row {
    /// Returns the facts to show of a side: only those that differ from the other's.
    pub fn said(&self, side: &Side, other: Option<&Side>) -> String {
        let facts = side.facts.iter().filter(|fact| match other {
            Some(other) => !other.facts.contains(fact),
            None => fact.0 == "times" || fact.0 == "answered by",
        });
        let texts = facts.map(|(name, value)| match name.as_str() {
            "times" => format!("×{value}"),
            "returns" => format!("= {value}"),
            "answered by" => format!("by {value}"),
            _ => value.clone(),
        });
        texts.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{decode::Returns, subject::Outcome, tree::Arg, Subject};

    fn call(name: &str, flags: &str, calls: Vec<Call>) -> Call {
        Call {
            args: vec![Arg::new("flags", flags), Arg::new("addr", flags)],
            calls,
            ..Call::function(name)
        }
    }

    fn trace(calls: Vec<Call>) -> Trace {
        let subject = Subject::Command(Vec::new());
        Trace::new(&subject, Outcome::default(), calls, Vec::new())
    }

    fn names(rows: &[Row]) -> Vec<(String, String, bool)> {
        let name = |side: &Option<Side>| side.as_ref().map_or("-".into(), |side| side.name.clone());
        rows.iter()
            .map(|row| (name(&row.a), name(&row.b), row.differs))
            .collect()
    }

    #[test]
    fn equal_runs_have_no_difference() {
        let run = || {
            trace(vec![call(
                "mmap",
                "0x1",
                vec![call("region", "0x1", Vec::new())],
            )])
        };
        let found = compare(&run(), &run());
        assert_eq!((found.first_difference, found.rows.len()), (None, 2));
    }

    #[test]
    fn calls_of_one_run_stand_alone_and_the_rest_goes_on() {
        let a = vec![call(
            "x",
            "1",
            vec![call("hook", "1", vec![]), call("link", "1", vec![])],
        )];
        let b = vec![call(
            "x",
            "1",
            vec![call("shmem", "1", vec![]), call("link", "1", vec![])],
        )];
        let found = compare(&trace(a), &trace(b));
        let row = |a: &str, b: &str, differs| (a.to_owned(), b.to_owned(), differs);
        assert_eq!(
            names(&found.rows),
            [
                row("x", "x", false),
                row("hook", "-", true),
                row("-", "shmem", true),
                row("link", "link", false)
            ]
        );
        assert_eq!(found.first_difference, Some(1));
    }

    #[test]
    fn flags_and_errors_differ_but_places_do_not() {
        let lazy = call("do_mmap", "0x1", Vec::new());
        let mut failed = call("do_mmap", "0x1", Vec::new());
        failed.args[1] = Arg::new("addr", "0x7000");
        assert_eq!(
            compare(&trace(vec![lazy.clone()]), &trace(vec![failed.clone()])).first_difference,
            None
        );
        failed.returned(Returns::Address, "0xfffffffffffffffa");
        let found = compare(&trace(vec![lazy]), &trace(vec![failed]));
        assert_eq!(found.first_difference, Some(0));
        let row = &found.rows[0];
        let b = row.b.as_ref().unwrap();
        assert_eq!(row.said(b, row.a.as_ref()), "= ENXIO");
    }

    #[test]
    fn how_often_is_compared() {
        let fault = || call("handle_mm_fault", "1", Vec::new());
        let found = compare(&trace(vec![fault(), fault()]), &trace(vec![fault()]));
        assert_eq!(found.rows.len(), 1);
        let row = &found.rows[0];
        assert!(row.differs);
        assert_eq!(row.said(row.a.as_ref().unwrap(), row.b.as_ref()), "×2");
    }
}
