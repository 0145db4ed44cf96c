// SPDX-License-Identifier: GPL-2.0

//! A program on a terminal of its own: a pseudo terminal that does not know its size, like a serial
//! console.

use crate::outcome::{Result, Stop};
use rmmap_sys::rustix::fs::{fcntl_setfl, open, Mode, OFlags};
use rmmap_sys::rustix::process::{kill_process, Pid, Signal};
use rmmap_sys::rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
use rmmap_sys::rustix::termios::{tcgetattr, LocalModes};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The limit for each wait, for a slow machine.
const LIMIT: Duration = Duration::from_secs(60);

/// The time between two checks of the program's output.
const PAUSE: Duration = Duration::from_millis(10);

/// Escape sequences that switch to the alternate screen and back, and hide and show the cursor.
const TAKEN: [(&str, &str, &str); 2] = [
    ("\x1b[?1049h", "\x1b[?1049l", "the other screen stayed"),
    ("\x1b[?25l", "\x1b[?25h", "the cursor stayed hidden"),
];

/// A terminal, and the program on it, killed on drop.
#[derive(Debug)]
pub struct OnTerminal {
    master: File,
    /// Keeps the terminal after the program's end.
    slave: OwnedFd,
    child: Child,
    seen: String,
    settings: String,
}

impl OnTerminal {
    /// Starts the program.
    pub fn start(command: &mut Command) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let slave = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        fcntl_setfl(&master, OFlags::NONBLOCK)?;
        let settings = settings(&slave)?;
        let child = command
            .env("TERM", "vt100")
            .stdin(slave.try_clone()?)
            .stdout(slave.try_clone()?)
            .stderr(slave.try_clone()?)
            .spawn()?;
        Ok(Self {
            master: master.into(),
            slave,
            child,
            seen: String::new(),
            settings,
        })
    }

    /// Returns everything that was written to the terminal so far.
    pub fn seen(&self) -> &str {
        &self.seen
    }

    /// Returns whether the program receives each key at once.
    pub fn is_raw(&self) -> Result<bool> {
        let modes = tcgetattr(&self.slave)?.local_modes;
        Ok(!modes.contains(LocalModes::ICANON))
    }

    /// Types keys.
    pub fn press(&mut self, keys: &[u8]) -> Result {
        Ok(self.master.write_all(keys)?)
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) -> Result {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Reads from the terminal until `words` appear.
    pub fn wait_for(&mut self, words: &str) -> Result {
        let begun = Instant::now();
        while !self.seen.contains(words) {
            self.read()?;
            if begun.elapsed() > LIMIT {
                return Err(self.stop(&format!("no {words:?}")));
            }
            sleep(PAUSE);
        }
        Ok(())
    }

    /// Waits for the program's end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let begun = Instant::now();
        loop {
            // Keep reading: the program waits for room on the terminal.
            self.read()?;
            if let Some(status) = self.child.try_wait()? {
                self.read()?;
                return Ok(status);
            }
            if begun.elapsed() > LIMIT {
                return Err(self.stop("it does not end"));
            }
            sleep(PAUSE);
        }
    }

    /// Checks that the program, which had taken over the terminal, has restored it.
    pub fn is_as_before(&self) -> Result {
        let now = settings(&self.slave)?;
        if now != self.settings {
            let before = &self.settings;
            return Err(self.stop(&format!("the settings are {now}, and were {before}")));
        }
        for (take, give, what) in TAKEN {
            let (taken, given) = (self.seen.rfind(take), self.seen.rfind(give));
            if taken.is_none() {
                return Err(self.stop(&format!("no {take:?}: it was not taken over")));
            }
            if given < taken {
                return Err(self.stop(what));
            }
        }
        Ok(())
    }

    fn read(&mut self) -> Result {
        let mut bytes = [0; 4096];
        loop {
            match self.master.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(count) => self.seen += &String::from_utf8_lossy(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn stop(&self, what: &str) -> Stop {
        Stop::fail(format_args!("{what}; the terminal shows {:?}", self.seen))
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // It may already have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns all settings of a terminal, to compare and to show.
fn settings(terminal: &OwnedFd) -> Result<String> {
    Ok(format!("{:?}", tcgetattr(terminal)?))
}
