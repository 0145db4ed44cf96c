// SPDX-License-Identifier: GPL-2.0

//! Writing to standard output, whose reader may exit (`rmmap stat --watch 1 | head`).

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Writes a line, without colours if the output does not show them.
pub fn line(text: impl Display) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Clears the screen if standard output is one.
pub fn clear() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if io::IsTerminal::is_terminal(&stdout) {
        // Home, then erase: the next table replaces the last one without flicker.
        stdout.write_all(b"\x1b[H\x1b[2J")?;
    }
    Ok(())
}

/// Returns whether a command failed only because its reader exited, which is no error.
pub fn is_reader_gone(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_broken_pipe_is_forgiven() {
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_reader_gone(&gone.into()));
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(!is_reader_gone(&full.into()));
        assert!(!is_reader_gone(&anyhow::anyhow!("broken pipe")));
    }
}
