// SPDX-License-Identifier: GPL-2.0

//! `Documentation/c-api.rst` lists the tests that see the kernel call each operation of
//! `vm_operations_struct`. These tests check that no operation is missing there, and that every
//! test in the list exists.

use rmmap_selftest::suite;
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

/// A row of the table.
#[derive(Debug)]
struct Row {
    operation: String,
    /// The texts between double backticks in the other columns.
    names: Vec<String>,
    is_refused: bool,
}

/// Reads a file of the project.
fn read(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Returns the texts between double backticks.
fn literals(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split("``").skip(1).step_by(2).map(str::to_owned)
}

/// Returns the rows of the table of the section about tests.
fn rows() -> Vec<Row> {
    let page = read("Documentation/c-api.rst");
    let (_, section) = page.split_once("Tests of each operation\n").unwrap();
    let (section, _) = section.split_once("\nA page fault: vm_fault\n").unwrap();
    let rows = section.split("\n   * - ").skip(2);
    rows.map(|row| {
        let (first, rest) = row.split_once('\n').unwrap();
        Row {
            operation: literals(first).next().unwrap(),
            names: literals(rest).collect(),
            is_refused: rest.contains("- Refused"),
        }
    })
    .collect()
}

/// Returns the operations that the library puts into its table.
fn offered() -> HashSet<String> {
    let source = read("rust/kernel_mm/vm/table.rs");
    let (_, table) = source
        .split_once("const TABLE: bindings::vm_operations_struct")
        .unwrap();
    let (table, _) = table.split_once("..pin_init::zeroed()").unwrap();
    // Fields begin at the second level of indentation.
    let fields = table
        .lines()
        .filter_map(|line| line.strip_prefix("        "));
    fields
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Returns the KUnit cases of the library as `SUITE/CASE`.
fn kunit_cases() -> HashSet<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../rust/kernel_mm_kunit");
    let mut cases = HashSet::new();
    for file in fs::read_dir(root).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        let Some((_, suite)) = source.split_once("kunit_tests(kernel_mm") else {
            continue;
        };
        let suite = suite.split(')').next().unwrap();
        for test in source.split("#[test]\n    fn ").skip(1) {
            let name = test.split('(').next().unwrap();
            cases.insert(format!("kernel_mm{suite}/{name}"));
        }
    }
    cases
}

#[test]
fn the_table_has_all_seventeen() {
    let rows = rows();
    let all: HashSet<String> = rows.iter().map(|row| row.operation.clone()).collect();
    assert_eq!(
        (rows.len(), all.len()),
        (17, 17),
        "rows, and different ones"
    );
    let refused = rows.iter().filter(|row| row.is_refused);
    let refused: HashSet<String> = refused.map(|row| row.operation.clone()).collect();
    let rest: HashSet<String> = all.difference(&refused).cloned().collect();
    assert_eq!(
        rest,
        offered(),
        "operations that are not said to be refused"
    );
}

#[test]
fn each_test_that_is_named_exists() {
    let device: HashSet<&str> = suite::all().map(|case| case.name).collect();
    let kunit = kunit_cases();
    assert!(
        kunit.len() > 20,
        "only these KUnit cases were found: {kunit:?}"
    );
    for row in rows() {
        let is_test = |name: &&String| {
            ["rust_mm_", "kernel_mm_"]
                .iter()
                .any(|p| name.starts_with(p))
        };
        let tests: Vec<&String> = row.names.iter().filter(is_test).collect();
        assert_eq!(tests.is_empty(), row.is_refused, "{row:?}");
        for test in tests {
            let known = device.contains(test.as_str()) || kunit.contains(test);
            assert!(known, "{}: there is no test {test}", row.operation);
        }
    }
}
