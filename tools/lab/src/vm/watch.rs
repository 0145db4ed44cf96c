// SPDX-License-Identifier: GPL-2.0
//! Runs a guest: copies its output, enforces the limits, and ends all of its processes.

use super::ending::Death;
use super::{Stream, Vm};
use crate::protocol::{CONSOLE, STARTED, STATUS, STDERR, STDOUT};
use anyhow::{Context, Result};
use rustix::process::{kill_process_group, Pid, Signal};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The interval at which the guest is checked.
const TICK: Duration = Duration::from_millis(50);
/// The time limit for a guest to power off once it has reported.
const POWER_OFF: Duration = Duration::from_secs(20);

/// Runs the guest to its end. Returns the limit that it exceeded, if it had to be stopped.
pub fn run(
    mut command: Command,
    dir: &Path,
    vm: &Vm,
    sink: &mut dyn FnMut(Stream, &[u8]),
) -> Result<Option<Death>> {
    let interactive = vm.timeout == Duration::MAX;
    let console = File::create(dir.join(CONSOLE))?;
    command.stderr(console.try_clone()?);
    if !interactive {
        command.stdin(Stdio::null()).stdout(console);
        // A group of its own, so that QEMU ends with virtme-run. A person's guest stays in the
        // terminal's foreground group.
        command.process_group(0);
    }
    let name = command.get_program().to_owned();
    let why = || {
        format!(
            "cannot start {}: run `make lab` again",
            name.to_string_lossy()
        )
    };
    let child = command.spawn().with_context(why)?;
    let mut guest = Guest {
        child,
        grouped: !interactive,
    };
    let mut tails = [
        Tail::new(dir, STDOUT, Stream::Stdout),
        Tail::new(dir, STDERR, Stream::Stderr),
    ];
    let expired = guest.wait(dir, vm, &mut tails, sink)?;
    drop(guest);
    pump(&mut tails, sink)?;
    Ok(expired)
}

/// Writes the guest's output to our own. A reader that has exited is no failure of the guest.
pub fn pass_on(stream: Stream, bytes: &[u8]) {
    let _ = match stream {
        Stream::Stdout => io::stdout()
            .write_all(bytes)
            .and_then(|()| io::stdout().flush()),
        Stream::Stderr => io::stderr().write_all(bytes),
    };
}

/// A running guest; dropping it ends it.
struct Guest {
    child: Child,
    grouped: bool,
}

impl Guest {
    fn wait(
        &mut self,
        dir: &Path,
        vm: &Vm,
        tails: &mut [Tail],
        sink: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Option<Death>> {
        let begun = Instant::now();
        let mut booted = false;
        let mut reported: Option<Instant> = None;
        while self.child.try_wait()?.is_none() {
            pump(tails, sink)?;
            booted = booted || dir.join(STARTED).exists();
            if reported.is_none() && dir.join(STATUS).exists() {
                reported = Some(Instant::now());
            }
            match reported {
                // The result is saved; a guest that cannot power off only costs this time.
                Some(since) if since.elapsed() > POWER_OFF => return Ok(None),
                Some(_) => {}
                None if begun.elapsed() > vm.timeout => {
                    return Ok(Some(Death::Timeout(vm.timeout)));
                }
                None if !booted && begun.elapsed() > vm.boot_timeout => {
                    return Ok(Some(Death::BootTimeout(vm.boot_timeout)));
                }
                None => {}
            }
            sleep(TICK);
        }
        Ok(None)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Ignore errors: a process that has already ended is fine.
        if self.grouped {
            if let Some(group) = Pid::from_raw(self.child.id() as i32) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the data appended to a file that may not exist yet.
struct Tail {
    path: PathBuf,
    file: Option<File>,
    stream: Stream,
}

impl Tail {
    fn new(dir: &Path, name: &str, stream: Stream) -> Self {
        Self {
            path: dir.join(name),
            file: None,
            stream,
        }
    }

    fn read(&mut self, sink: &mut dyn FnMut(Stream, &[u8])) -> Result<()> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error.into()),
            };
        }
        if let Some(file) = &mut self.file {
            let mut new = Vec::new();
            file.read_to_end(&mut new)?;
            if !new.is_empty() {
                sink(self.stream, &new);
            }
        }
        Ok(())
    }
}

fn pump(tails: &mut [Tail], sink: &mut dyn FnMut(Stream, &[u8])) -> Result<()> {
    tails.iter_mut().try_for_each(|tail| tail.read(sink))
}

#[cfg(test)]
mod tests {
    use super::super::Kernel;
    use super::*;
    use std::fs;

    fn vm() -> Vm {
        Vm::new("t", Kernel::built_in("/none".as_ref()))
    }

    fn sh(script: String) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        command
    }

    #[test]
    fn output_is_passed_on_completely() {
        let dir = tempfile::tempdir().unwrap();
        let script = format!(
            "cd '{}'; printf one >stdout; sleep 0.2; printf two >>stdout",
            dir.path().display()
        );
        let mut seen = Vec::new();
        let mut sink = |stream: Stream, bytes: &[u8]| {
            assert_eq!(stream, Stream::Stdout);
            seen.extend_from_slice(bytes);
        };
        assert_eq!(run(sh(script), dir.path(), &vm(), &mut sink).unwrap(), None);
        assert_eq!(seen, b"onetwo");
    }

    #[test]
    fn limit_stops_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > '{}'; wait", pid.display());
        // Long enough for the shell to write the file, however busy the machine is.
        let limit = Duration::from_secs(3);
        let vm = vm().timeout(limit);
        let begun = Instant::now();
        let ended = run(sh(script), dir.path(), &vm, &mut |_, _| {}).unwrap();
        assert_eq!(ended, Some(Death::Timeout(limit)));
        assert!(begun.elapsed() < Duration::from_secs(30));
        let stat = format!("/proc/{}/stat", fs::read_to_string(pid).unwrap().trim());
        // Ended, or a zombie that nobody in this container reaps. The test waits only for the
        // group's leader: the others got the same signal, but may take a moment longer to die.
        let dead = || fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "));
        while !dead() {
            assert!(begun.elapsed() < Duration::from_secs(30), "still alive");
            sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn guest_that_never_boots_hits_the_shorter_limit() {
        let dir = tempfile::tempdir().unwrap();
        let mut vm = vm();
        vm.boot_timeout = Duration::from_millis(200);
        let ended = run(sh("sleep 600".into()), dir.path(), &vm, &mut |_, _| {}).unwrap();
        assert_eq!(ended, Some(Death::BootTimeout(vm.boot_timeout)));
    }
}
