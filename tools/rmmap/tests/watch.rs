// SPDX-License-Identifier: GPL-2.0

//! `rmmap watch` on a terminal: a pseudo terminal that, as a serial console, does not know its size.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rmmap_sys::rustix;
use rustix::fs::{fcntl_setfl, open, Mode, OFlags};
use rustix::process::{kill_process, Pid, Signal};
use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
use rustix::termios::{tcgetattr, LocalModes};

/// How long anything may take, on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A terminal, and the program on it.
struct OnTerminal {
    master: File,
    /// Keeps the terminal when the program is gone.
    slave: OwnedFd,
    child: Child,
    seen: String,
}

impl OnTerminal {
    /// Starts `rmmap watch` of a mapping of this process.
    fn start() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        fcntl_setfl(&master, OFlags::NONBLOCK).unwrap();
        let here = &raw const ANYTHING as usize;
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_rmmap"))
            .args(["watch", "--interval", "0.1", "--pid"])
            .arg(std::process::id().to_string())
            .args(["--address", &format!("{here:x}")])
            .env("TERM", "vt100")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        Self {
            master: master.into(),
            slave,
            child,
            seen: String::new(),
        }
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(self.slave.as_fd()).unwrap().local_modes;
        !modes.contains(LocalModes::ICANON)
    }

    /// Reads what is on the terminal until `words` are.
    fn wait_for(&mut self, words: &str) {
        let begun = Instant::now();
        while !self.seen.contains(words) {
            self.read();
            assert!(begun.elapsed() < LIMIT, "no {words:?} in what was shown");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn read(&mut self) {
        let mut bytes = [0; 4096];
        match self.master.read(&mut bytes) {
            Ok(count) => self.seen += &String::from_utf8_lossy(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("the terminal: {error}"),
        }
    }

    fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            // Somebody has to read, or the program waits for room on the terminal.
            self.read();
            if let Some(status) = self.child.try_wait().unwrap() {
                self.read();
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The program ended well, and left the terminal as it was.
    fn ended_well(&mut self) {
        let status = self.wait();
        assert!(status.success(), "{status}: {:?}", self.seen);
        assert!(!self.is_raw(), "the terminal is still raw");
        let left = self.seen.rfind("\x1b[?1049l");
        assert!(
            left > self.seen.rfind("\x1b[?1049h"),
            "it kept the other screen"
        );
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // After a failed assertion it still runs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Any address will do; this one is of the program's own file.
static ANYTHING: u8 = 1;

fn begun() -> OnTerminal {
    let mut terminal = OnTerminal::start();
    // Blanks are not written, the cursor moves over them.
    terminal.wait_for("zoom,");
    assert!(terminal.is_raw());
    assert!(terminal.seen.contains("resident"), "{:?}", terminal.seen);
    terminal
}

#[test]
fn q_ends_it_and_the_terminal_is_as_before() {
    let mut terminal = begun();
    terminal.master.write_all(b"+q").unwrap();
    terminal.ended_well();
}

#[test]
fn control_c_ends_it() {
    let mut terminal = begun();
    terminal.master.write_all(b"\x03").unwrap();
    terminal.ended_well();
}

#[test]
fn signals_end_it() {
    for signal in [Signal::TERM, Signal::HUP] {
        let mut terminal = begun();
        let pid = Pid::from_child(&terminal.child);
        kill_process(pid, signal).unwrap();
        terminal.ended_well();
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
