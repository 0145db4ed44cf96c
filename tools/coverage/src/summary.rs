// SPDX-License-Identifier: GPL-2.0

//! The table that people see, the same in `build/coverage/summary.txt`, and `summary.json`.

use std::fmt::Write;

use serde_json::json;

use crate::function::{Function, Group};
use crate::why::Explained;

/// One function in `summary.json`.
fn row(function: &Function) -> serde_json::Value {
    json!({
        "function": function.name,
        "file": function.file,
        "group": function.group,
        "lines": function.lines.len(),
        "lines_hit": function.lines_hit(),
        "branches": function.branches(),
        "branches_taken": function.branches_taken(),
    })
}

/// `summary.json`: an array with one record per function.
pub fn json(functions: &[Function]) -> String {
    let rows = functions.iter().map(row).collect();
    format!("{:#}\n", serde_json::Value::Array(rows))
}

/// Prints the table, and what of it needs a reason. With `is_judged` a missing one is a failure.
pub fn print(functions: &[Function], explained: &Explained, is_judged: bool) {
    print!("{}", table(functions));
    print!("{}", missed(functions, explained));
    for stale in &explained.stale {
        if is_judged {
            println!("runs now, or no longer exists: remove it from coverage-why.toml: {stale}");
        }
    }
    println!("{}", last_line(functions, explained, is_judged));
}

/// The table, the same as `summary.txt`.
pub fn table(functions: &[Function]) -> String {
    let mut text = String::new();
    for group in Group::ALL {
        let of_group: Vec<_> = functions.iter().filter(|f| f.group == group).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{}", group.title());
        let _ = writeln!(text, "  {:>13}  {:>13}", "lines", "branches");
        for function in &of_group {
            let lines = share(function.lines_hit(), function.lines.len());
            let branches = share(function.branches_taken(), function.branches());
            let (name, file) = (&function.name, &function.file);
            let _ = writeln!(text, "  {lines:>13}  {branches:>13}  {name} ({file})");
        }
        let sum = |of: fn(&Function) -> usize| of_group.iter().map(|f| of(f)).sum::<usize>();
        let lines = share(sum(Function::lines_hit), sum(|f| f.lines.len()));
        let branches = share(sum(Function::branches_taken), sum(Function::branches));
        let _ = writeln!(text, "  {lines:>13}  {branches:>13}  together");
    }
    text
}

/// `3/4  75 %`.
fn share(part: usize, whole: usize) -> String {
    match (100 * part).checked_div(whole) {
        Some(percent) => format!("{part}/{whole} {percent:>3} %"),
        None => "-".to_owned(),
    }
}

/// The lines that never ran, by function, each with its reason.
fn missed(functions: &[Function], explained: &Explained) -> String {
    let mut text = String::new();
    let mut last = None;
    for missed in &explained.missed {
        let function = &functions[missed.function];
        if last.replace(missed.function) != Some(missed.function) {
            let _ = writeln!(
                text,
                "\nNever ran of {} ({}):",
                function.name, function.file
            );
        }
        let why = missed.why.as_deref().map(str::trim);
        let _ = writeln!(
            text,
            "  {:>4}  {}\n        {}",
            missed.number,
            function.text(missed.number),
            why.unwrap_or("NOT EXPLAINED")
        );
    }
    if !explained.is_complete() {
        text +=
            "\nWrite tests of the lines without a reason, or add it to tools/lab/coverage-why.toml.\n";
    }
    text
}

fn last_line(functions: &[Function], explained: &Explained, is_judged: bool) -> String {
    let missed = explained.missed.iter();
    let open = missed.filter(|missed| missed.why.is_none()).count();
    let judged = functions.iter().filter(|f| f.group.is_judged());
    let (mut hit, mut lines) = (0, 0);
    for function in judged {
        hit += function.lines_hit();
        lines += function.lines.len();
    }
    let reasons = explained.missed.len() - open;
    let judgement = match (open, is_judged) {
        (_, false) => "; these are some of the tests only",
        (0, _) => "; every missing line is explained",
        _ => "",
    };
    format!(
        "\n{hit} of {lines} lines of the six functions and the driver ran, {reasons} are explained, \
         {open} are not{judgement} (see build/coverage)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::tests::function;
    use crate::why::explain;

    fn functions() -> Vec<Function> {
        let text = ["+if (x)", "-return 1;"];
        vec![
            function(Group::Seed, &text),
            function(Group::Library, &text),
        ]
    }

    #[test]
    fn the_table_has_functions_and_sums() {
        let text = table(&functions());
        assert!(text.contains("The six functions\n"), "{text}");
        let row = "      1/2  50 %      1/4  25 %  f (mm/mmap.c)\n";
        assert!(text.contains(row), "{text}");
        assert_eq!(text.matches("together").count(), 4);
    }

    #[test]
    fn a_function_without_branches_has_no_share_of_them() {
        assert_eq!(share(0, 0), "-");
        assert_eq!(share(0, 3), "0/3   0 %");
    }

    #[test]
    fn a_line_without_a_reason_is_shown_and_counted() {
        let functions = functions();
        let explained = explain(&functions, &[]);
        let text = missed(&functions, &explained);
        let shown = "Never ran of f (mm/mmap.c):\n     2  return 1;\n        NOT EXPLAINED\n";
        assert!(text.contains(shown), "{text}");
        let last = last_line(&functions, &explained, true);
        assert!(
            last.contains("1 of 2 lines") && last.contains("1 are not (see"),
            "{last}"
        );
        let json = row(&functions[0]);
        assert_eq!(json["lines_hit"], 1);
        assert_eq!(json["branches_taken"], 1);
        assert_eq!(json["group"], "seed");
    }
}
