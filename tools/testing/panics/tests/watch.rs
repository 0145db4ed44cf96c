// SPDX-License-Identifier: GPL-2.0

//! A panic of `rmmap watch` on a terminal. In the guest, `rmmap selftest -t watch` tests the same
//! with the release build, which aborts.

use std::process::Command;

use rmmap_selftest::terminal::OnTerminal;

/// A byte of the program's own file, because `--address` needs a mapped address.
static ANYTHING: u8 = 1;

#[test]
fn a_panic_gives_the_terminal_back() {
    let here = &raw const ANYTHING as usize;
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmmap-panics"));
    command
        .args(["watch", "--pid", &std::process::id().to_string()])
        .args(["--address", &format!("{here:x}")]);
    let mut terminal = OnTerminal::start(&mut command).unwrap();
    let status = terminal.wait().unwrap();
    assert!(!status.success());
    terminal.is_as_before().unwrap();
    assert!(terminal.seen().contains("a panic on purpose: Drawn"));
}
