// SPDX-License-Identifier: GPL-2.0

//! What `rmmap` says when it cannot run: what happened, to what, and what to do. None of these
//! commands needs the device or root.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Command lines, and what each prints on standard error before it exits with status 2. A message
/// that begins with `rmmap:` is a line of its own, and all of it up to a cause that the system names.
const MESSAGES: [(&str, &str); 11] = [
    ("watch", "<PATH|--pid <PID>>"),
    (
        "watch --interval 0 /dev/null",
        "give a number of seconds above 0",
    ),
    (
        "watch --once /dev/null",
        "rmmap: /dev/null is empty, or has no size: it holds no pages to watch\n",
    ),
    (
        "watch --once /nonexistent",
        "rmmap: cannot open /nonexistent: No such file or directory (os error 2)\n",
    ),
    (
        "watch --once --pid 2147483647",
        "rmmap: cannot read /proc/2147483647/maps: No such file or directory (os error 2) (is /proc \
         mounted, and does the process still run?)\n",
    ),
    (
        "map 64x",
        "`64x` is not a size: give bytes, or with k, M, G, T, or p for pages; 0x... is hexadecimal\n",
    ),
    (
        "map 64k --addr hello",
        "`hello` is not an address: give it in hexadecimal, such as 7f0000000000\n",
    ),
    (
        "stat 987",
        "rmmap: descriptor 987 is not open here; give it to rmmap, as in `rmmap stat 987 987<FILE`\n",
    ),
    (
        "stat /dev/null",
        "rmmap: /dev/null is not /dev/rmmap or a region of it, or its module is of another version: \
         use the program and the module of one checkout\n",
    ),
    (
        "stat /nonexistent",
        "rmmap: cannot open /nonexistent: No such file or directory (os error 2)\n",
    ),
    ("trace --compare lazy foo", "`foo` does not describe a mapping"),
];

/// Runs a program with these arguments.
fn run(program: &Path, arguments: &str) -> Output {
    let mut command = Command::new(program);
    command.args(arguments.split(' ')).output().unwrap()
}

/// Fails unless the program ended with status 2 and this message.
#[track_caller]
fn check(arguments: &str, output: &Output, message: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "rmmap {arguments}: {said}");
    match message.starts_with("rmmap:") {
        true => assert_eq!(said, message, "rmmap {arguments}"),
        false => assert!(said.contains(message), "rmmap {arguments}: {said}"),
    }
}

#[test]
fn a_command_that_cannot_run_says_what_to_do() {
    for (arguments, message) in MESSAGES {
        let output = run(Path::new(env!("CARGO_BIN_EXE_rmmap")), arguments);
        check(arguments, &output, message);
    }
}

#[test]
fn a_missing_module_is_named_with_the_remedy() {
    if Path::new("/dev/rmmap").exists() {
        return;
    }
    for arguments in ["stat", "map 64k", "demo"] {
        let output = run(Path::new(env!("CARGO_BIN_EXE_rmmap")), arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "rmmap {arguments}: {said}");
        let begin = "rmmap: /dev/rmmap does not exist";
        assert!(said.starts_with(begin), "rmmap {arguments}: {said}");
        assert!(said.contains("`make run`"), "rmmap {arguments}: {said}");
    }
}

#[test]
fn a_missing_program_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("rmmap");
    fs::copy(env!("CARGO_BIN_EXE_rmmap"), &program).unwrap();
    for (command, name) in [("bench", "rmmap-bench"), ("selftest", "rmmap-selftest")] {
        let message = format!(
            "rmmap: {name} is not installed: build it with `make tools` and copy it to {}\n",
            folder.path().display()
        );
        check(command, &run(&program, command), &message);
    }
}
