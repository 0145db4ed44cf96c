// SPDX-License-Identifier: GPL-2.0

//! The demo's table for people.

use std::fmt::Write;

use super::{
    case::Kind,
    facts::{Column, Facts},
    Outcome, Row,
};
use crate::observe::PAGES;
use crate::style::{BAD, DIM, GOOD, HEAD};

/// Explains the columns, a line for each.
pub fn legend() -> String {
    #[rustfmt::skip] // A table.
    let columns = [
        ("way", "how the memory is allocated: flags of mmap(2), or mlockall(2) after or before it"),
        ("resident", "pages in memory and mapped here (pagemap): after mmap(2) → after touching"),
        ("faults", "page faults of the process (getrusage): in mmap(2) + while touching"),
        ("answered by", "the module's handler with a new, cached or zero page; the core; shmem"),
        ("around", "calls of map_pages, which maps resident neighbours before the handler runs"),
        ("held", "pages that the device holds afterwards"),
        ("hook", "calls of the module's hook for mmap(2)"),
        ("VmLck", "locked memory of the mapping, kB: decrease at munmap(2) (status)"),
        ("VmFlags", "flags of the mapping (smaps): sh shared, lo locked, ac accounted, …"),
    ];
    let mut text = String::new();
    for (name, meaning) in columns {
        let _ = writeln!(text, "  {name:<12} {DIM}{meaning}{DIM:#}");
    }
    let _ = write!(
        text,
        "Each row maps {PAGES} untouched pages and writes to every one of them."
    );
    text
}

/// Returns the headings of a kind and of its columns.
pub fn heading(kind: Kind) -> String {
    let mut text = format!("{HEAD}{}{HEAD:#}\n", kind.title());
    let _ = writeln!(text, "  {DIM}{}{DIM:#}", kind.explanation());
    let _ = write!(
        text,
        "  {HEAD}{:17} {:>8} {:>6} {:12} {:>6} {:>4} {:>4} {:>5} VmFlags{HEAD:#}",
        "way", "resident", "faults", "answered by", "around", "held", "hook", "VmLck"
    );
    text
}

/// Returns a row, and a line for each fact that differs from the expectation.
pub fn row(row: &Row) -> String {
    let label = row.case.way.label();
    let observation = match &row.outcome {
        Outcome::Observed(observation) => observation,
        Outcome::Failed(why) => return format!("{BAD}!{BAD:#} {label:17} {BAD}{why}{BAD:#}"),
    };
    let facts = &observation.facts;
    let is_file = row.case.kind.is_file();
    // The anonymous kinds have no device that could count.
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
    let resident = format!(
        "{}→{}",
        facts.resident_after_mmap, facts.resident_after_touch
    );
    let faults = format!("{}+{}", facts.faults_mmap, facts.faults_touch);
    let mut text = format!(
        "{mark} {label:17} {} {} {} {} {} {} {} {}",
        cell(Column::Resident, format!("{resident:>8}")),
        cell(Column::Faults, format!("{faults:>6}")),
        cell(Column::Answers, format!("{:12}", answers(facts))),
        cell(Column::Around, format!("{:>6}", device(facts.map_pages))),
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

/// Returns the sources of the answers to the faults.
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
        true => "none".to_owned(),
        false => parts.join(", "),
    }
}

/// Returns the last line: how many rows are as expected.
pub fn summary(rows: &[Row]) -> String {
    let all = rows.len();
    let failed = rows.iter().filter(|row| row.has_failed()).count();
    let differ = rows
        .iter()
        .filter(|row| !row.differences.is_empty())
        .count();
    match (differ, failed) {
        (0, 0) => format!("{GOOD}All {all} rows are as expected.{GOOD:#}"),
        _ => format!(
            "{BAD}Of {all} rows {differ} differ from their expectation and {failed} could not \
             run: see the lines marked with !{BAD:#}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use rmmap_procfs::VmFlags;

    use super::*;
    use crate::demo::{
        case::{Case, Way},
        expect,
        run::Observation,
    };

    fn a_row(kind: Kind, change: impl FnOnce(&mut Facts)) -> Row {
        a_row_with("rd wr sh mr mw ms sd", kind, change)
    }

    fn a_row_with(flags: &str, kind: Kind, change: impl FnOnce(&mut Facts)) -> Row {
        let case = Case {
            kind,
            way: Way::Populate,
        };
        let expected = expect::expected(case, "/dev/rmmap");
        let mut facts = expected.clone();
        change(&mut facts);
        Row {
            case,
            differences: Facts::differences(&expected, &facts),
            outcome: Outcome::Observed(Box::new(Observation {
                facts,
                vm_flags: VmFlags::parse(flags),
                target: None,
            })),
            rules: expect::rules(case),
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_row_stands_under_its_headings() {
        let heading = plain(&heading(Kind::SharedFile));
        let row = plain(&row(&a_row(Kind::SharedFile, |_| {})));
        assert_eq!(
            format!("{}\n{row}", heading.lines().last().unwrap()),
            "  way               resident faults answered by  around held hook VmLck VmFlags\n  \
             MAP_POPULATE         16→16   16+0 new 16           16   16    1     0 rd wr sh mr mw ms sd"
        );
    }

    #[test]
    fn a_control_has_no_device_to_count() {
        let row = plain(&row(&a_row(Kind::SharedAnonymous, |_| {})));
        assert!(row.contains("shmem 16          -    -    -     0"), "{row}");
        let core = a_row(Kind::PrivateAnonymous, |_| {});
        assert!(plain(&super::row(&core)).contains("core 16 "));
    }

    #[test]
    fn what_differs_is_marked_in_its_cell_and_named_below() {
        let wrong = a_row(Kind::SharedFile, |facts| facts.hook = 7);
        let text = row(&wrong);
        assert!(text.contains(&format!("{BAD}   7{BAD:#}")), "{text:?}");
        let text = plain(&text);
        assert!(text.starts_with("! MAP_POPULATE"), "{text}");
        assert!(text.ends_with(
            "\n    calls of the hook: expected 1, observed 7 (rules MK-02, MK-07, PO-08)"
        ));
        assert!(summary(&[wrong]).contains("Of 1 rows 1 differ"));
    }

    #[test]
    fn faults_that_nobody_counted_are_the_cores() {
        let odd = a_row(Kind::SharedFile, |facts| {
            facts.answer_new = 10;
            facts.answer_cached = 2;
            facts.map_pages = 0;
        });
        assert!(plain(&row(&odd)).contains("new 10, cached 2, core 4"));
    }

    #[test]
    fn a_case_that_could_not_run_says_why() {
        let mut failed = a_row(Kind::SharedFile, |_| {});
        failed.outcome = Outcome::Failed("mmap failed".to_owned());
        assert_eq!(plain(&row(&failed)), "! MAP_POPULATE      mmap failed");
        assert!(summary(&[failed]).contains("1 could not run"));
    }

    #[test]
    fn everything_fits_in_100_columns() {
        for line in plain(&legend()).lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        for kind in Kind::ALL {
            let longest = a_row_with("rd wr sh mr mw me ms lo sd", kind, |_| {});
            let text = format!("{}\n{}", heading(kind), row(&longest));
            for line in plain(&text).lines() {
                assert!(
                    line.chars().count() <= 100 && line == line.trim_end(),
                    "{line}"
                );
            }
        }
    }
}
