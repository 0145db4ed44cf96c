// SPDX-License-Identifier: GPL-2.0

//! The live view of `rmmap watch`: it restores the terminal in whatever way it ends.

use super::commands::{program, Held};
use crate::context::Context;
use crate::outcome::Result;
use crate::terminal::OnTerminal;
use crate::{cases, check, check_eq};
use rmmap_sys::rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;

cases! {
    Rmmap watch_gives_the_terminal_back_at_the_end [] "rmmap watch: q, Ctrl-C, or the end of the process that is watched: settings, screen and cursor of the terminal are as before", 60;
    Rmmap watch_gives_the_terminal_back_after_signals [] "rmmap watch: SIGINT, SIGTERM, SIGHUP, SIGQUIT: the same", 60;
    Rmmap watch_gives_the_terminal_back_after_a_panic [] "rmmap watch: a panic, which aborts the program: the same";
}

/// Starts `watch` of `rmmap`, or of another program, and returns it when it has taken over its
/// terminal, with the mapping that it watches.
fn begun(name: &str) -> Result<(OnTerminal, Held)> {
    let held = Held::start("16p --region 16p --touch write")?;
    let pid = held.pid();
    let mut command = program(name, &format!("watch --interval 0.1 --pid {pid}"))?;
    let mut terminal = OnTerminal::start(&mut command)?;
    // The program moves the cursor instead of writing blanks.
    terminal.wait_for("zoom,")?;
    Ok((terminal, held))
}

fn watch_gives_the_terminal_back_at_the_end(_: &Context) -> Result {
    for keys in [&b"q"[..], b"\x03", b""] {
        let (mut terminal, held) = begun("rmmap")?;
        check!(terminal.is_raw()?, "keys do not reach the program");
        match keys {
            b"" => drop(held),
            keys => terminal.press(keys)?,
        }
        check_eq!(terminal.wait()?.code(), Some(0), "after {keys:?}");
        terminal.is_as_before()?;
        let said = terminal.seen().contains("what was watched is gone");
        check_eq!(said, keys.is_empty());
    }
    Ok(())
}

fn watch_gives_the_terminal_back_after_signals(_: &Context) -> Result {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let (mut terminal, _held) = begun("rmmap")?;
        terminal.signal(signal)?;
        check_eq!(terminal.wait()?.code(), Some(0), "after {signal:?}");
        terminal.is_as_before()?;
    }
    Ok(())
}

fn watch_gives_the_terminal_back_after_a_panic(_: &Context) -> Result {
    let (mut terminal, _held) = begun("rmmap-panics")?;
    check_eq!(terminal.wait()?.signal(), Some(Signal::ABORT.as_raw()));
    terminal.is_as_before()?;
    // It prints its message on the normal screen, which stays.
    let seen = terminal.seen();
    check!(
        seen.rfind("a panic on purpose: Drawn") > seen.rfind("\x1b[?1049l"),
        "{seen:?}"
    );
    Ok(())
}
