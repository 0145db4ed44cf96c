// SPDX-License-Identifier: GPL-2.0

//! The demo's table for people.

use std::fmt::Write;

use super::{
    case::{Kind, PAGES},
    facts::{Column, Facts},
    Outcome, Row,
};
use crate::style::{BAD, DIM, GOOD, HEAD};

/// Explains the columns, a line for each.
pub fn legend() -> String {
    let columns = [
        (
            "way",
            "how the memory is allocated: flags of mmap(2), or mlockall(2) beside it",
        ),
        (
            "resident",
            "pages in memory and mapped here (pagemap bit 63), after mmap and after touching",
        ),
        (
            "faults",
            "page faults taken by the process (getrusage), in mmap and while touching",
        ),
        (
            "answered by",
            "new, cached, zero page: the module's handler, and with what; core: anonymous",
        ),
        ("", "memory; shmem: the file behind shared anonymous memory"),
        (
            "around",
            "calls of map_pages: resident neighbours looked for before the handler",
        ),
        ("held", "pages that the device holds afterwards"),
        ("hook", "calls of the module's hook for mmap(2)"),
        (
            "VmLck",
            "locked memory of the mapping, kB (/proc/self/status, given back by munmap)",
        ),
        (
            "VmFlags",
            "flags of the mapping (/proc/self/smaps); lo locked, sh shared, ac accounted",
        ),
    ];
    let mut text = String::new();
    for (name, meaning) in columns {
        let _ = writeln!(text, "  {name:<12} {DIM}{meaning}{DIM:#}");
    }
    let _ = writeln!(
        text,
        "Each row maps {PAGES} pages that nobody has touched yet and writes to every one of them."
    );
    text
}

/// Heading of a kind and of its columns.
pub fn heading(kind: Kind) -> String {
    let mut text = format!("{HEAD}{}{HEAD:#}\n", kind.title());
    let _ = writeln!(text, "  {DIM}{}{DIM:#}", kind.explanation());
    let _ = writeln!(
        text,
        "  {:17} {:>11} {:>11}  {:21} {:>6} {:>4} {:>4} {:>5}",
        "", "resident", "faults", "", "", "", "", ""
    );
    let _ = write!(
        text,
        "  {HEAD}{:17} {:>5} {:>5} {:>5} {:>5}  {:13} {:>6} {:>4} {:>4} {:>5}  VmFlags{HEAD:#}",
        "way", "mmap", "touch", "mmap", "touch", "answered by", "around", "held", "hook", "VmLck"
    );
    text
}

/// A row, and a line for each fact that differs from expectation.
pub fn row(row: &Row) -> String {
    let label = row.case.way.label();
    let observation = match &row.outcome {
        Outcome::Observed(observation) => observation,
        Outcome::Failed(why) => return format!("{BAD}!{BAD:#} {label:17} {BAD}{why}{BAD:#}"),
    };
    let facts = &observation.facts;
    let is_file = row.case.kind.is_file();
    // A control has no device that could count.
    let device = |value: u64| match is_file {
        true => value.to_string(),
        false => "-".to_owned(),
    };
    let differs = |column| row.differences.iter().any(|d| d.column == column);
    let cell = |column, text: String| match differs(column) {
        true => format!("{BAD}{text}{BAD:#}"),
        false => text,
    };
    let mark = match row.differences.is_empty() {
        true => " ".to_owned(),
        false => format!("{BAD}!{BAD:#}"),
    };
    let mut text = format!(
        "{mark} {label:17} {} {} {} {}  {} {} {} {} {}  {}",
        cell(
            Column::ResidentMmap,
            format!("{:>5}", facts.resident_after_mmap)
        ),
        cell(
            Column::ResidentTouch,
            format!("{:>5}", facts.resident_after_touch)
        ),
        cell(Column::FaultsMmap, format!("{:>5}", facts.faults_mmap)),
        cell(Column::FaultsTouch, format!("{:>5}", facts.faults_touch)),
        cell(Column::Answers, format!("{:13}", answers(facts))),
        cell(Column::Answers, format!("{:>6}", device(facts.map_pages))),
        cell(Column::Held, format!("{:>4}", device(facts.held))),
        cell(Column::Hook, format!("{:>4}", device(facts.hook))),
        cell(Column::Locked, format!("{:>5}", facts.locked_kb)),
        cell(Column::Flags, observation.vm_flags.to_string()),
    );
    for difference in &row.differences {
        let _ = write!(text, "\n    {BAD}{difference}{BAD:#}");
    }
    if !row.differences.is_empty() {
        let _ = write!(text, " (rules {})", row.rules.join(", "));
    }
    text
}

/// By whom the faults were answered.
fn answers(facts: &Facts) -> String {
    let mut parts = Vec::new();
    let mut part = |name: &str, count: u64| {
        if count != 0 {
            parts.push(format!("{name} {count}"));
        }
    };
    part("new", facts.answer_new);
    part("cached", facts.answer_cached);
    part("zero page", facts.answer_zero);
    part("refused", facts.answer_other);
    let by_device = facts.answer_new + facts.answer_cached + facts.answer_zero;
    let others = (facts.faults_mmap + facts.faults_touch).saturating_sub(by_device);
    match facts.name.as_deref() {
        Some("/dev/zero (deleted)") => part("shmem", others),
        Some(_) if facts.map_pages != 0 => part("neighbours", others),
        _ => part("core", others),
    }
    match parts.is_empty() {
        true => "nobody".to_owned(),
        false => parts.join(", "),
    }
}

/// The last line: how many rows are as expected.
pub fn summary(rows: &[Row]) -> String {
    let wrong = rows.iter().filter(|row| !row.is_as_expected()).count();
    match wrong {
        0 => format!(
            "{GOOD}All {} rows are as expected.{GOOD:#}",
            rows.len()
        ),
        _ => format!(
            "{BAD}{wrong} of {} rows differ from what is expected: see the lines marked with !{BAD:#}",
            rows.len()
        ),
    }
}
