// SPDX-License-Identifier: GPL-2.0

//! That `rmmap trace` leaves tracing as it was, however it ends.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rmmap_sys::rustix::process::{kill_process, Pid, Signal};

use super::{run_json, Args, Verdict, TRACEFS};

/// How long one step may take; a busy machine emulates the guest.
const PATIENCE: Duration = Duration::from_secs(120);

/// A user who may do nothing.
const NOBODY: u32 = 65534;

/// An error, before and while something is recorded: everything is restored.
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
            return Err(format!("{words:?}: {}, and it said: {said}", output.status));
        }
        before.is_back()?;
    }
    Ok(())
}

/// A signal in the middle: everything is restored, the program is gone, the signal has its effect.
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

/// A panic, which aborts the program: everything is restored.
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

/// Killed without a chance: the next run clears up.
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

/// Where tracefs is not mounted, it is not afterwards, whether all went well or not.
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

/// Where tracing may not be used: one line that says what is missing, and nothing is changed.
pub fn unavailable(args: &Args) -> Verdict {
    let before = State::take()?;
    let output = rmmap(args).arg("anon").uid(NOBODY).gid(NOBODY).output();
    let output = output.map_err(|error| format!("cannot run rmmap: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let is_clear = said.trim().lines().count() == 1 && said.contains("tracing needs root");
    if output.status.code() != Some(2) || !is_clear {
        return Err(format!("{}, and it said: {said}", output.status));
    }
    before.is_back()
}

fn rmmap(args: &Args) -> Command {
    trace("rmmap", args)
}

/// `rmmap trace`, or that of the program which panics.
fn trace(name: &str, program: &Args) -> Command {
    let mut command = Command::new(program.rmmap.with_file_name(name));
    command.arg("trace");
    command
}

/// Starts to trace a program that sleeps; returns when it is being recorded, with its pid.
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

/// The traced process, once the instance of that prefix records it.
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

/// Waits for the end, but not for ever.
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

/// Waits until a process is gone.
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

/// What of tracing is everybody's: files, and what is in them.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    files: Vec<(&'static str, String)>,
    instances: Vec<String>,
}

/// The files, all of the top level. `enabled_functions` are those that any tracer patched.
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
    /// Takes it down.
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

    /// Tells whether everything is as it was.
    pub fn is_back(&self) -> Verdict {
        let now = Self::take()?;
        match now == *self {
            true => Ok(()),
            false => Err(format!("tracing is {now:?}, but was {self:?}")),
        }
    }

    /// Tells whether anything is not as it was: else a test of what is restored tests nothing.
    fn is_changed(&self) -> Verdict {
        match self.is_back() {
            Ok(()) => Err("nothing of tracing was changed: this test tests nothing".into()),
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
