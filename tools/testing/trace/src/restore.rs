// SPDX-License-Identifier: GPL-2.0

//! Tests that `rmmap trace` restores the tracing settings in whatever way it ends.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rmmap_sys::rustix::process::{kill_process, Pid, Signal};

use super::{run_json, Args, Verdict, TRACEFS};

/// The time limit of a step: a busy machine may emulate the guest.
const PATIENCE: Duration = Duration::from_secs(120);

/// A user without privileges.
const NOBODY: u32 = 65534;

/// Checks that errors before and during recording restore everything.
pub fn failed(args: &Args) -> Verdict {
    let before = State::take()?;
    for (words, why) in [
        (
            &["--", "/no/such/program"][..],
            "cannot run /no/such/program",
        ),
        (
            &["--also", "no_such_function"],
            "cannot trace no_such_function",
        ),
        (
            &["memfd", "length=0x8000000000000000"],
            "cannot set the size of the memfd",
        ),
    ] {
        let output = rmmap(args).args(words).output();
        let output = output.map_err(|error| format!("cannot run rmmap: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || !said.contains(why) {
            return Err(format!("{words:?}: {}; stderr: {said}", output.status));
        }
        before.is_back()?;
    }
    Ok(())
}

/// Checks that a signal while recording restores everything, ends the traced program, and still
/// ends `rmmap trace`.
pub fn interrupted(args: &Args) -> Verdict {
    let before = State::take()?;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let (mut child, traced) = start("rmmap", args, &["--", "sleep", "1000"])?;
        before.is_changed()?;
        send(&child, signal)?;
        let status = wait(&mut child)?;
        if status.signal() != Some(signal.as_raw()) {
            return Err(format!("after {signal:?} it ended with {status}"));
        }
        before.is_back()?;
        is_gone(&traced)?;
    }
    Ok(())
}

/// Checks that a panic, which aborts the program, restores everything.
pub fn panicked(args: &Args) -> Verdict {
    let before = State::take()?;
    let (mut child, traced) = start("rmmap-panics", args, &["--", "sleep", "5"])?;
    before.is_changed()?;
    let status = wait(&mut child)?;
    if status.signal() != Some(Signal::ABORT.as_raw()) {
        return Err(format!("after a panic it ended with {status}"));
    }
    before.is_back()?;
    is_gone(&traced)
}

/// Checks that the run after SIGKILL cleans up.
pub fn killed(args: &Args) -> Verdict {
    let before = State::take()?;
    let (mut child, traced) = start("rmmap", args, &["--", "sleep", "1000"])?;
    send(&child, Signal::KILL)?;
    wait(&mut child)?;
    is_gone(&traced)?;
    before.is_changed()?;
    run_json(args, &["anon", "untouched"])?;
    before.is_back()
}

/// Checks that `rmmap trace` unmounts the tracefs that it mounted, after a success, a signal and a
/// panic.
pub fn unmounted(args: &Args) -> Verdict {
    let umount = Command::new("umount").arg(TRACEFS).status();
    if !umount.is_ok_and(|status| status.success()) || is_mounted() {
        return Err("cannot unmount tracefs".into());
    }
    let result = leave_unmounted(args);
    super::mount().and(result)
}

fn leave_unmounted(args: &Args) -> Verdict {
    let stay = || match is_mounted() {
        true => Err("tracefs stayed mounted".to_owned()),
        false => Ok(()),
    };
    run_json(args, &["anon", "untouched"])?;
    stay()?;
    let (mut child, _) = start("rmmap", args, &["--", "sleep", "1000"])?;
    send(&child, Signal::TERM)?;
    wait(&mut child)?;
    stay()?;
    let (mut child, _) = start("rmmap-panics", args, &["--", "sleep", "5"])?;
    wait(&mut child)?;
    stay()
}

fn is_mounted() -> bool {
    Path::new(TRACEFS).join("tracing_on").exists()
}

/// Checks that a user without permission gets one line that names it, and that nothing changes.
pub fn unavailable(args: &Args) -> Verdict {
    let before = State::take()?;
    let output = rmmap(args).arg("anon").uid(NOBODY).gid(NOBODY).output();
    let output = output.map_err(|error| format!("cannot run rmmap: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let is_clear = said.trim().lines().count() == 1 && said.contains("tracing needs root");
    if output.status.code() != Some(2) || !is_clear {
        return Err(format!("{}; stderr: {said}", output.status));
    }
    before.is_back()
}

fn rmmap(args: &Args) -> Command {
    trace("rmmap", args)
}

/// Returns a command for `rmmap trace`, or for `trace` of the program that panics.
fn trace(name: &str, program: &Args) -> Command {
    let mut command = Command::new(program.rmmap.with_file_name(name));
    command.arg("trace");
    command
}

/// Starts to trace a program that sleeps; returns its pid once it is recorded.
fn start(name: &str, program: &Args, args: &[&str]) -> Result<(Child, String), String> {
    let mut child = trace(name, program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run rmmap: {error}"))?;
    let prefix = format!("rmmap_{}_", child.id());
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(traced) = recorded(&prefix) {
            return Ok((child, traced));
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("rmmap trace ended before it traced: {status}"));
        }
        sleep(Duration::from_millis(100));
    }
    let _ = child.kill();
    let _ = child.wait();
    Err("rmmap trace did not begin to record".into())
}

/// Returns the pid of the traced process, once the instance of that prefix records it.
fn recorded(prefix: &str) -> Option<String> {
    let name = instances()
        .into_iter()
        .find(|name| name.starts_with(prefix))?;
    let folder = PathBuf::from(format!("{TRACEFS}/instances/{name}"));
    let is_on = fs::read_to_string(folder.join("tracing_on")).ok()?.trim() == "1";
    let traced = fs::read_to_string(folder.join("set_ftrace_pid")).ok()?;
    (is_on && traced.trim().parse::<u32>().is_ok()).then(|| traced.trim().to_owned())
}

fn send(child: &Child, signal: Signal) -> Verdict {
    let pid = Pid::from_raw(child.id() as i32).ok_or("no pid")?;
    kill_process(pid, signal).map_err(|errno| format!("cannot send {signal:?}: {errno}"))
}

/// Waits for the end of a process, for a limited time.
fn wait(child: &mut Child) -> Result<ExitStatus, String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => sleep(Duration::from_millis(50)),
            Err(error) => return Err(format!("cannot wait: {error}")),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    Err("rmmap trace did not end".into())
}

/// Waits until a process has ended.
fn is_gone(pid: &str) -> Verdict {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        match stat {
            Err(_) => return Ok(()),
            Ok(stat) if stat.contains(") Z ") => return Ok(()),
            Ok(_) => sleep(Duration::from_millis(50)),
        }
    }
    Err(format!("the traced program, process {pid}, still runs"))
}

/// The system-wide settings of tracing: files, and their contents.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    files: Vec<(&'static str, String)>,
    instances: Vec<String>,
}

/// The files of the top level. `enabled_functions` lists the functions that any tracer has patched.
const FILES: [&str; 15] = [
    "buffer_size_kb",
    "current_tracer",
    "dynamic_events",
    "enabled_functions",
    "events/enable",
    "kprobe_events",
    "set_event",
    "set_event_pid",
    "set_ftrace_filter",
    "set_ftrace_pid",
    "set_graph_function",
    "trace_clock",
    "trace_options",
    "tracing_cpumask",
    "tracing_on",
];

impl State {
    /// Reads the current state.
    pub fn take() -> Result<Self, String> {
        let files = FILES.map(|file| {
            let path = format!("{TRACEFS}/{file}");
            let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
            Ok((file, text))
        });
        Ok(Self {
            files: files.into_iter().collect::<Result<_, String>>()?,
            instances: instances(),
        })
    }

    /// Checks that the current state is the same.
    pub fn is_back(&self) -> Verdict {
        let now = Self::take()?;
        match now == *self {
            true => Ok(()),
            false => Err(format!("tracing is {now:?}, and was {self:?}")),
        }
    }

    /// Checks that the current state differs: otherwise a test of restoring proves nothing.
    fn is_changed(&self) -> Verdict {
        match self.is_back() {
            Ok(()) => Err("tracing was not changed, so this test proves nothing".into()),
            Err(_) => Ok(()),
        }
    }
}

fn instances() -> Vec<String> {
    let entries = fs::read_dir(format!("{TRACEFS}/instances"))
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
