// SPDX-License-Identifier: GPL-2.0

//! The messages of `rmmap bench` when it cannot measure.

use std::process::Command;

/// Command lines, and the message that each prints to standard error before it exits with status 2.
const MESSAGES: [(&str, &str); 2] = [
    (
        "--module /nonexistent/rmmap.ko",
        "rmmap: cannot read the module /nonexistent/rmmap.ko: No such file or directory (os error 2)\n",
    ),
    ("--size 1", "1 is not in 2..=65536"),
];

#[test]
fn a_benchmark_that_cannot_run_says_what_to_do() {
    for (arguments, message) in MESSAGES {
        let output = Command::new(env!("CARGO_BIN_EXE_rmmap-bench"))
            .args(arguments.split(' '))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
        match message.starts_with("rmmap:") {
            true => assert_eq!(said, message, "{arguments}"),
            false => assert!(said.contains(message), "{arguments}: {said}"),
        }
    }
}
