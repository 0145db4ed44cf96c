// SPDX-License-Identifier: GPL-2.0
//! The table of the branches, and the page with all details of each.

use super::outcomes::Outcomes;
use super::table::Table;
use anyhow::Result;
use rmmap_pages::rst::{field, text, title};
use rmmap_rows::{Group, Reach, Row, Test};
use std::fmt::Write;

/// Makes the table: for each function of the path a section, with a line for each of its branches.
pub fn branches(table: &Table) -> Result<String> {
    let mut out = String::new();
    for group in &table.groups {
        out += &title(&text(&group.title), "=");
        out += "\n.. csv-table::\n   :header: Row, Branch and where it is, Result, Tests\n   \
                :widths: 10 30 28 32\n\n";
        for row in &group.rows {
            let tests: Vec<_> = table
                .of(row)
                .map(|test| format!("``{}``", test.name))
                .collect();
            let tests = match row.reach {
                Reach::No => format!("none: {}", text(&row.why)),
                _ => tests.join(", "),
            };
            let branch = match row.kernel.as_str() {
                "same" => text(&row.seed),
                place => text(&format!("{}: {place}", row.seed)),
            };
            let cells = [&branch, &text(&row.expected), &tests].map(|cell| quoted(cell));
            writeln!(out, "   {}, {}", row.id, cells.join(", "))?;
        }
        out.push('\n');
    }
    Ok(out)
}

/// Returns a cell of a CSV table.
fn quoted(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

/// Writes the file that the guide includes: the totals, then each group with all details of its
/// rows.
pub fn rows(table: &Table, outcomes: &Outcomes) -> Result<String> {
    let mut page = title("The rows in numbers", "=");
    page += &sum(table, outcomes)?;
    for group in &table.groups {
        page.push('\n');
        page += &title(&text(&group.title), "=");
        for row in &group.rows {
            writeln!(page, "\n.. _{}:\n", row.id)?;
            page += &title(&row.id, "-");
            page.push('\n');
            page += &fields(group, row, table, outcomes);
        }
    }
    Ok(page)
}

/// The outcome of a row in the recorded run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// No program can reach it.
    Unreachable,
    /// A test failed.
    Failed,
    /// All its tests passed in all runs on the stock kernel.
    Passed,
    /// Not all of its tests ran.
    Unknown,
}

/// Returns the outcomes of all variants of a test, by run.
fn ends<'a>(test: &Test, outcomes: &'a Outcomes) -> Vec<(&'a str, &'a str)> {
    let names = test.variants.iter();
    names.flat_map(|name| outcomes.of(name)).collect()
}

fn standing(row: &Row, table: &Table, outcomes: &Outcomes) -> Standing {
    if row.reach == Reach::No {
        return Standing::Unreachable;
    }
    let names = || table.of(row).flat_map(|test| &test.variants);
    let fails = |name: &String| outcomes.of(name).any(|(_, end)| end == "fail");
    let is_stock = |run: &&str| run.starts_with("stock/");
    let runs = outcomes.runs().iter().map(String::as_str);
    let stock = runs.filter(is_stock).count();
    let passes = |name: &String| {
        let passed = outcomes.of(name).filter(|(_, end)| *end == "pass");
        passed.filter(|(run, _)| is_stock(run)).count() == stock
    };
    match () {
        () if names().any(fails) => Standing::Failed,
        () if stock > 0 && names().next().is_some() && names().all(passes) => Standing::Passed,
        () => Standing::Unknown,
    }
}

/// Returns a table of the groups.
fn sum(table: &Table, outcomes: &Outcomes) -> Result<String> {
    let mut out = String::from(
        "\n.. list-table::\n   :header-rows: 1\n\n   * - Rows\n     - number\n     - with a test\n     \
         - all of them passed on the stock kernel\n     - failed\n     - cannot be reached\n",
    );
    let mut total = [0; 5];
    for group in &table.groups {
        let count = |is: Standing| {
            let rows = group.rows.iter();
            rows.filter(|row| standing(row, table, outcomes) == is)
                .count()
        };
        let reachable = group.rows.iter().filter(|row| row.reach != Reach::No);
        let numbers = [
            group.rows.len(),
            reachable
                .filter(|row| table.of(row).next().is_some())
                .count(),
            count(Standing::Passed),
            count(Standing::Failed),
            count(Standing::Unreachable),
        ];
        line(&mut out, &text(&group.title), numbers)?;
        for (sum, number) in total.iter_mut().zip(numbers) {
            *sum += number;
        }
    }
    line(&mut out, "all", total)?;
    let runs = outcomes.runs().join(", ");
    match runs.is_empty() {
        true => out.push_str("\nNo run is recorded.\n"),
        false => writeln!(
            out,
            "\nOutcomes are those of a full run on commit ``{}`` and kernel {}: {runs}.",
            outcomes.commit, outcomes.kernel
        )?,
    }
    Ok(out)
}

fn line(out: &mut String, name: &str, numbers: [usize; 5]) -> Result<()> {
    writeln!(out, "   * - {name}")?;
    for number in numbers {
        writeln!(out, "     - {number}")?;
    }
    Ok(())
}

/// Returns the fields of a row.
fn fields(group: &Group, row: &Row, table: &Table, outcomes: &Outcomes) -> String {
    let mut out = field("Seed", &(function(group) + &text(&row.seed)));
    out += &field("7.3", &text(&row.kernel));
    out += &field("Trigger", &text(&row.trigger));
    out += &field("Expected", &text(&row.expected));
    if row.reach == Reach::Privileged {
        out += &field("Needs", "root, or a setup that root prepares");
    }
    let outcome = match standing(row, table, outcomes) {
        Standing::Unreachable => format!("cannot be reached: {}", text(&row.why)),
        Standing::Failed => "**failed**".to_owned(),
        Standing::Passed => "passed".to_owned(),
        Standing::Unknown => "not all tests ran".to_owned(),
    };
    out += &field("Outcome", &outcome);
    let tests: Vec<String> = table.of(row).map(|test| told(test, outcomes)).collect();
    if !tests.is_empty() {
        out += &field("Tests", &tests.join("; "));
    }
    out
}

/// Returns the function of the walkthrough that a group is about, if it is one function.
fn function(group: &Group) -> String {
    match group.title.split_once(" (") {
        Some((name, _)) if name.contains('_') => format!("``{name}``: "),
        _ => String::new(),
    }
}

/// Returns a test, and its outcomes other than `pass`.
fn told(test: &Test, outcomes: &Outcomes) -> String {
    let mut out = format!("``{}``", test.name);
    let mut others: Vec<(&str, Vec<&str>)> = Vec::new();
    for (run, end) in ends(test, outcomes) {
        if end == "pass" {
            continue;
        }
        match others.iter_mut().find(|(known, _)| *known == end) {
            Some((_, runs)) if runs.contains(&run) => {}
            Some((_, runs)) => runs.push(run),
            None => others.push((end, vec![run])),
        }
    }
    let told: Vec<String> = others
        .iter()
        .map(|(end, runs)| format!("{} {}", runs.join(", "), text(end)))
        .collect();
    if !told.is_empty() {
        out += &format!(" ({})", told.join("; "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::table::example;
    use super::*;

    /// Makes outcomes of the tests of a row in two runs, both variants of the second alike.
    fn outcomes(perf: &str, kinds: &str) -> Outcomes {
        let runs = r#"runs = ["stock/mmap/never", "debug/mmap/never"]"#;
        let head = format!("commit = 'c'\nrust = 'r'\nkernel = '7.3.4'\n{runs}");
        let others = format!("perf = {perf}\n'kinds/device' = {kinds}");
        Outcomes::parse(&format!(
            "{head}\npassed = ['kinds/region']\n[others]\n{others}"
        ))
        .unwrap()
    }

    #[test]
    fn a_row_passed_when_all_its_tests_passed_on_stock_and_none_failed() {
        let table = example();
        let stands = |row: usize, perf, kinds| {
            standing(&table.groups[0].rows[row], &table, &outcomes(perf, kinds))
        };
        let (passed, skipped) = (r#"["pass", "pass"]"#, r#"["skip: no", "pass"]"#);
        assert_eq!(stands(0, passed, passed), Standing::Passed);
        assert_eq!(
            stands(0, passed, r#"["pass", "skip: no KSM"]"#),
            Standing::Passed
        );
        assert_eq!(stands(0, passed, skipped), Standing::Unknown);
        assert_eq!(stands(0, skipped, passed), Standing::Unknown);
        assert_eq!(stands(0, passed, r#"["pass", "fail"]"#), Standing::Failed);
        assert_eq!(stands(1, passed, passed), Standing::Unreachable);
    }

    #[test]
    fn every_row_is_on_the_page_with_what_its_tests_did() {
        let skipped = r#"["skip: no perf", "skip: no perf"]"#;
        let outcomes = outcomes(skipped, r#"["pass", "pass"]"#);
        let page = rows(&example(), &outcomes).unwrap();
        for line in [
            ".. _MR-33:",
            ":Seed: ``mmap_region``: ``perf_event_mmap``",
            "Outcomes are those of a full run on commit ``c`` and kernel 7.3.4: stock/mmap/never, \
             debug/mmap/never.",
            ":Outcome: not all tests ran",
            ":Tests: ``perf`` (stock/mmap/never, debug/mmap/never skip: no perf); ``kinds``",
            ".. _MR-03:",
            ":Outcome: cannot be reached: race only",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}: {page}");
        }
    }

    #[test]
    fn a_branch_is_a_line_of_the_table() {
        let page = branches(&example()).unwrap();
        for line in [
            "``mmap_region`` (``mm/vma.c``)",
            "   MR-33, \"``perf_event_mmap``: ``vma.c:x``\", \"e\", \"``perf``, ``kinds``\"",
            "   MR-03, \"``perf_event_mmap``: ``vma.c:x``\", \"e\", \"none: race only\"",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}: {page}");
        }
        assert_eq!(quoted("a \"b\""), "\"a \"\"b\"\"\"");
    }
}
