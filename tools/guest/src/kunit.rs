// SPDX-License-Identifier: GPL-2.0

//! KUnit: the suites in the module's source, and their reports in the kernel log.
//!
//! The suites are compiled into modules and run when these are loaded. A module without output, or
//! a suite that does not appear, has not passed, so the expected suites come from the source.

use std::io;
use std::path::Path;

use crate::kmsg::Line;
use crate::ktap::{self, Parser, Test};
use crate::ktap_line;

/// Lists the names in `#[kunit_tests(NAME)]` below `folder`, sorted.
pub fn suites_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry?;
        if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "rs")
        {
            names.extend(suites_of(&std::fs::read_to_string(entry.path())?));
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Returns the suites of one file. rustfmt puts an attribute on a line of its own, so mentions in
/// comments do not match.
fn suites_of(source: &str) -> impl Iterator<Item = String> + '_ {
    source.lines().filter_map(|line| {
        let attribute = line.trim_start().strip_prefix("#[")?;
        let (_, rest) = attribute.split_once("kunit_tests(")?;
        Some(rest.split_once(')')?.0.trim().to_owned())
    })
}

/// Reads the report in `log`, which contains no lines from before the module was loaded.
pub fn read(log: &[Line]) -> Vec<Test> {
    let mut parser = Parser::new();
    let mut tests = Vec::new();
    let mut previous = log.first().map_or(0, |line| line.micros);
    for line in log {
        // KUnit does not report the duration of a test; the log's timestamps show it.
        if let Some(name) = ktap_line::result_name(&line.text) {
            let ms = line.micros.saturating_sub(previous) / 1000;
            tests.extend(parser.line(&format!("# time {name} {ms}")));
        }
        if ktap_line::is_report_line(&line.text) {
            previous = line.micros;
        }
        tests.extend(parser.line(&line.text));
    }
    tests.extend(parser.finish());
    tests
}

/// Returns a failure for each suite of the source that did not report.
pub fn missing(tests: &[Test], suites: &[String]) -> Vec<Test> {
    let reported = |suite: &str| {
        tests
            .iter()
            .any(|test| test.name.split('/').next() == Some(suite))
    };
    let silent = suites.iter().filter(|suite| !reported(suite));
    silent
        .map(|suite| ktap::failure(suite, "the source has this suite, no module reported it"))
        .collect()
}

/// Returns the failures in the reports of later loads, which follow each other in the same log.
pub fn failures_in_reloads(log: &[Line]) -> Vec<String> {
    if !log.iter().any(|line| ktap_line::is_report_line(&line.text)) {
        return Vec::new();
    }
    let failed = read(log).into_iter();
    failed
        .filter(|test| test.outcome == crate::record::Outcome::Fail)
        .map(|test| format!("{}: {}", test.name, test.message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Outcome;

    fn log(text: &str) -> Vec<Line> {
        let lines = text.lines().enumerate();
        lines
            .map(|(index, line)| Line {
                micros: index as u64 * 2000,
                text: line.to_owned(),
            })
            .collect()
    }

    const REPORT: &str = "rmmap: loading out-of-tree module taints kernel.\nKTAP version 1\n1..1\n    \
        KTAP version 1\n    # Subtest: rmmap_region\n    # module: rmmap\n    1..2\n    ok 1 quota\n    \
        rmmap: a message\n    ok 2 size\n# rmmap_region: pass:2 fail:0 skip:0 total:2\nok 1 rmmap_region\n";

    #[test]
    fn suites_are_found_in_attributes_only() {
        let source = "// #[kunit_tests(old)]\n#[cfg(CONFIG_KUNIT)]\n#[kunit_tests(rmmap_region)]\n\
                      mod tests {}\n    #[kernel::macros::kunit_tests(b)]\n";
        assert_eq!(suites_of(source).collect::<Vec<_>>(), ["rmmap_region", "b"]);
    }

    #[test]
    fn a_report_gives_tests_with_their_times() {
        let tests = read(&log(REPORT));
        let names: Vec<_> = tests
            .iter()
            .map(|test| (test.name.as_str(), test.ms))
            .collect();
        assert_eq!(
            names,
            [
                ("rmmap_region/quota", Some(2)),
                ("rmmap_region/size", Some(4))
            ]
        );
        assert!(tests.iter().all(|test| test.outcome == Outcome::Pass));
    }

    #[test]
    fn silence_is_a_failure() {
        let tests = read(&log("rmmap: loaded\n"));
        assert_eq!(tests.len(), 1);
        assert_eq!(tests[0].outcome, Outcome::Fail);
    }

    #[test]
    fn a_suite_left_out_is_a_failure() {
        let suites = ["rmmap_region".to_owned(), "kernel_mm_fault".to_owned()];
        let missing = missing(&read(&log(REPORT)), &suites);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].name, "kernel_mm_fault");
        assert_eq!(missing[0].outcome, Outcome::Fail);
    }

    #[test]
    fn reloads_are_looked_at_too() {
        assert!(failures_in_reloads(&log("nothing\n")).is_empty());
        assert!(failures_in_reloads(&log(&REPORT.repeat(3))).is_empty());
        let second = REPORT.replace("ok 2 size", "not ok 2 size");
        let failures = failures_in_reloads(&log(&format!("{REPORT}{second}")));
        assert_eq!(failures.len(), 1);
        assert!(
            failures[0].starts_with("rmmap_region/size: "),
            "{failures:?}"
        );
        // A report that breaks off because the next load began.
        let cut = &REPORT[..REPORT.find("    ok 2").unwrap()];
        assert!(!failures_in_reloads(&log(&format!("{cut}{REPORT}"))).is_empty());
    }
}
