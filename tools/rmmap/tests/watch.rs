// SPDX-License-Identifier: GPL-2.0

//! `rmmap watch` on a terminal. In the guest `rmmap selftest -t watch` does the same with the program
//! as it is released.

use std::process::{Command, Stdio};

use rmmap_selftest::terminal::OnTerminal;
use rmmap_sys::rustix::process::Signal;

/// Any address will do; this one is of the program's own file.
static ANYTHING: u8 = 1;

/// Starts `rmmap watch` on a mapping of this process, and waits until it has drawn.
fn begun() -> OnTerminal {
    let here = &raw const ANYTHING as usize;
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmmap"));
    command
        .args(["watch", "--interval", "0.1", "--pid"])
        .arg(std::process::id().to_string())
        .args(["--address", &format!("{here:x}")]);
    let mut terminal = OnTerminal::start(&mut command).unwrap();
    // Blanks are not written, the cursor moves over them.
    terminal.wait_for("zoom,").unwrap();
    terminal.wait_for("resident").unwrap();
    terminal
}

/// Checks that the program succeeded, and restored the terminal.
fn ended_well(mut terminal: OnTerminal) {
    let status = terminal.wait().unwrap();
    assert!(status.success(), "{status}: {:?}", terminal.seen());
    terminal.is_as_before().unwrap();
}

#[test]
fn q_ends_it_and_the_terminal_is_as_before() {
    let mut terminal = begun();
    assert!(terminal.is_raw().unwrap());
    terminal.press(b"+q").unwrap();
    ended_well(terminal);
}

#[test]
fn control_c_ends_it() {
    let mut terminal = begun();
    terminal.press(b"\x03").unwrap();
    ended_well(terminal);
}

#[test]
fn signals_end_it() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let terminal = begun();
        terminal.signal(signal).unwrap();
        ended_well(terminal);
    }
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let output = Command::new(env!("CARGO_BIN_EXE_rmmap"))
        .args(["watch", "/proc/self/exe"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--once"), "{said}");
}
