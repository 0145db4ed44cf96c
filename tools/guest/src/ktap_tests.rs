// SPDX-License-Identifier: GPL-2.0

//! Tests of the KTAP reader with good reports, bad ones, and noise.

use super::*;

fn read(text: &str) -> Vec<Test> {
    let mut parser = Parser::new();
    let mut tests: Vec<Test> = text.lines().flat_map(|line| parser.line(line)).collect();
    tests.extend(parser.finish());
    tests
}

fn outcomes(text: &str) -> Vec<(String, Outcome)> {
    read(text)
        .into_iter()
        .map(|test| (test.name, test.outcome))
        .collect()
}

fn named(name: &str, outcome: Outcome) -> (String, Outcome) {
    (name.to_owned(), outcome)
}

use Outcome::{Fail, Pass, Skip};

#[test]
fn flat_report_keeps_order_reasons_and_times() {
    let tests = read(
        "KTAP version 1\n1..3\n# time lazy 12\nok 1 lazy\n# expected 16 pages, got 15\n# time populate 3\n\
         # rows populate MK-07 PO-08\nnot ok 2 populate\nok 3 reload # SKIP no --module\n",
    );
    assert_eq!(tests.len(), 3);
    assert_eq!((tests[0].outcome, tests[0].ms), (Pass, Some(12)));
    assert_eq!(tests[1].message, "expected 16 pages, got 15");
    assert_eq!(tests[1].ms, Some(3));
    assert_eq!(tests[1].rows, ["MK-07", "PO-08"]);
    assert!(tests[0].rows.is_empty());
    assert_eq!(
        (tests[2].outcome, tests[2].message.as_str()),
        (Skip, "no --module")
    );
}

#[test]
fn a_test_is_given_as_soon_as_its_line_is_there() {
    let mut parser = Parser::new();
    parser.line("KTAP version 1");
    parser.line("1..2");
    assert_eq!(parser.line("ok 1 first").len(), 1);
}

#[test]
fn kunit_report_of_a_module_nests_by_four_columns() {
    let report = "KTAP version 1\n1..2\n    KTAP version 1\n    # Subtest: rmmap_region\n    1..2\n    \
                  ok 1 quota\n    # truncate: EXPECTATION FAILED at region.rs:10\n    not ok 2 truncate\n\
                  # rmmap_region: pass:1 fail:1 skip:0 total:2\nnot ok 1 rmmap_region\n    \
                  KTAP version 1\n    # Subtest: kernel_mm_fault\n    1..1\n    ok 1 codes\nok 2 kernel_mm_fault\n";
    assert_eq!(
        outcomes(report),
        [
            named("rmmap_region/quota", Pass),
            named("rmmap_region/truncate", Fail),
            named("kernel_mm_fault/codes", Pass),
        ]
    );
}

#[test]
fn the_example_of_the_format_page_reads_as_it_says() {
    let report =
        "KTAP version 1\n1..2\n  KTAP version 1\n  1..2\n    KTAP version 1\n    1..2\n    \
                  not ok 1 test_1\n    ok 2 test_2\n  not ok 1 test_3\n  ok 2 test_4 # SKIP\n\
                  not ok 1 example_test_1\nok 2 example_test_2\n";
    assert_eq!(
        outcomes(report),
        [
            named("example_test_1/test_3/test_1", Fail),
            named("example_test_1/test_3/test_2", Pass),
            named("example_test_1/test_4", Skip),
            named("example_test_2", Pass),
        ]
    );
}

#[test]
fn noise_between_lines_changes_nothing() {
    let report = "booting\n[    1.000000] KTAP version 1\n[    1.000001] 1..2\nrandom: crng init done\n\
                  [    1.100000] ok 1 first\n 1..9 is no plan here\nok, that was it\n[    1.200000] ok 2 second\n";
    assert_eq!(
        outcomes(report),
        [named("first", Pass), named("second", Pass)]
    );
}

#[test]
fn missing_results_are_failures() {
    let tests = read("KTAP version 1\n1..3\nok 1 first\n");
    assert_eq!(tests.len(), 3);
    assert_eq!(tests[1].outcome, Fail);
    assert_eq!(tests[2].name, "(3 of 3)");
}

#[test]
fn more_results_than_planned_are_a_failure() {
    let tests = outcomes("KTAP version 1\n1..1\nok 1 first\nok 2 second\n");
    assert_eq!(tests.last(), Some(&named("(plan)", Fail)));
}

#[test]
fn a_result_printed_twice_is_a_failure() {
    let tests = outcomes("KTAP version 1\n1..2\nok 1 first\nok 1 first\nok 2 second\n");
    assert_eq!(tests[1], named("first (order)", Fail));
}

#[test]
fn no_report_at_all_is_a_failure() {
    assert_eq!(outcomes("insmod: done\n"), [named("(report)", Fail)]);
}

#[test]
fn a_report_without_plan_is_a_failure() {
    assert_eq!(
        outcomes("KTAP version 1\nok 1 first\n"),
        [named("first", Pass), named("(plan)", Fail)]
    );
}

#[test]
fn a_lost_version_line_is_a_failure() {
    let tests = outcomes("ok 1 first\n");
    assert_eq!(tests[0], named("first", Fail));
}

#[test]
fn a_suite_cut_off_in_the_middle_fails_by_name() {
    let report = "KTAP version 1\n1..2\n    KTAP version 1\n    # Subtest: region\n    1..3\n    ok 1 quota\n";
    assert_eq!(
        outcomes(report),
        [
            named("region/quota", Pass),
            named("region/(2 of 3)", Fail),
            named("region/(3 of 3)", Fail),
            named("region", Fail),
            named("(1 of 2)", Fail),
            named("(2 of 2)", Fail),
        ]
    );
}

#[test]
fn a_suite_that_fails_with_all_its_tests_passed_counts() {
    let report = "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: region\n    1..1\n    ok 1 quota\n\
                  not ok 1 region\n";
    assert_eq!(
        outcomes(report),
        [named("region/quota", Pass), named("region", Fail)]
    );
}

#[test]
fn a_suite_whose_init_failed_has_no_tests_and_fails() {
    let report = "KTAP version 1\n1..1\n    # failed to initialize (-12)\nnot ok 1 region\n";
    let tests = read(report);
    assert_eq!(tests.len(), 1);
    assert_eq!(tests[0].message, "failed to initialize (-12)");
}

#[test]
fn a_second_report_is_read_after_the_first() {
    let report = "KTAP version 1\n1..1\nok 1 first\nKTAP version 1\n1..1\nnot ok 1 second\n";
    assert_eq!(
        outcomes(report),
        [named("first", Pass), named("second", Fail)]
    );
}

#[test]
fn directives_are_understood() {
    let report =
        "KTAP version 1\n1..4\nnot ok 1 slow # TIMEOUT 30 seconds\nnot ok 2 known # XFAIL bug 7\n\
                  ok 3 - dashed # rcode=0\nok 4 absent # skip no swap\n";
    assert_eq!(
        outcomes(report),
        [
            named("slow", Fail),
            named("known", Skip),
            named("dashed", Pass),
            named("absent", Skip)
        ]
    );
    assert_eq!(read(report)[0].message, "TIMEOUT 30 seconds");
}
