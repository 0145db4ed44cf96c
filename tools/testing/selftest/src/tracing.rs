// SPDX-License-Identifier: GPL-2.0

//! The kernel's tracing, for events that a program cannot observe itself.

use crate::outcome::{lacks, Result, Stop};
use crate::undo::Undo;
use rmmap_sys::rustix::mount::{mount, MountFlags};
use rmmap_sys::Errno;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the tracing folder, which must contain the file or folder that the test needs; mounts it
/// if necessary. `option` is the kernel option that provides it.
pub fn folder(needed: &str, option: &str) -> Result<PathBuf> {
    let path = Path::new("/sys/kernel/tracing");
    if !path.join("events").exists() {
        // A kernel with tracefs has the folder.
        let missing = [Errno::NODEV, Errno::NOENT];
        mount("tracefs", path, "tracefs", MountFlags::empty(), None)
            .map_err(|e| lacks("mount tracefs", e, &missing))?;
    }
    match path.join(needed).exists() {
        true => Ok(path.to_owned()),
        false => Err(Stop::skip(format_args!(
            "this kernel's tracing has no {needed} ({option})"
        ))),
    }
}

/// A trace instance, of this process or of all. It is removed on drop, and also if the test is
/// killed.
#[derive(Debug)]
struct Instance {
    path: PathBuf,
    _undo: Undo,
}

impl Instance {
    /// Creates an instance for an event, or a group of events (`events/GROUP`).
    fn of(event: &'static str, option: &str) -> Result<Self> {
        let folder = folder(event, option)?;
        let name = format!("rmmap-selftest-{}", std::process::id());
        let path = folder.join("instances").join(name);
        let end = path.clone();
        let undo = Undo::new(move || {
            let _ = fs::write(end.join(event).join("enable"), "0");
            let _ = fs::remove_dir(&end);
        })?;
        fs::create_dir(&path)?;
        Ok(Self { path, _undo: undo })
    }

    /// Changes a setting.
    fn set(&self, file: &str, value: impl AsRef<[u8]>) -> Result {
        Ok(fs::write(self.path.join(file), value)?)
    }

    /// Returns the recorded events.
    fn text(&self) -> Result<String> {
        Ok(fs::read_to_string(self.path.join("trace"))?)
    }
}

/// The return values of one system call, in all processes.
#[derive(Debug)]
pub struct SyscallExits(Instance);

impl SyscallExits {
    /// Starts to record.
    pub fn of(number: u32) -> Result<Self> {
        let event = "events/raw_syscalls/sys_exit";
        let instance = Instance::of(event, "FTRACE and HAVE_SYSCALL_TRACEPOINTS")?;
        instance.set(&format!("{event}/filter"), format!("id == {number}"))?;
        instance.set(&format!("{event}/enable"), "1")?;
        Ok(Self(instance))
    }

    /// Returns the results of a thread's calls so far.
    pub fn returned(&self, thread: i32) -> Result<Vec<i64>> {
        let trace = self.0.text()?;
        // `rmmap-123     [000] .....    12.3: sys_exit: NR 9 = -4`
        let of_thread = |line: &&str| {
            let task = line.split_whitespace().next();
            task.is_some_and(|task| task.ends_with(&format!("-{thread}")))
        };
        let lines = trace.lines().filter(of_thread);
        Ok(lines
            .filter_map(|line| line.rsplit_once(" = ")?.1.trim().parse().ok())
            .collect())
    }
}

/// The events of the module's tracepoints in this process.
#[derive(Debug)]
pub struct Tracepoints(Instance);

impl Tracepoints {
    /// Starts to record.
    pub fn record() -> Result<Self> {
        let instance = Instance::of("events/rmmap", "TRACING, and the module")?;
        instance.set("set_event_pid", std::process::id().to_string())?;
        instance.set("events/rmmap/enable", "1")?;
        Ok(Self(instance))
    }

    /// Returns the events since the last call, each as `fault: ino=5 address=0x7f00 ...`.
    pub fn take(&self) -> Result<Vec<String>> {
        let text = self.0.text()?;
        self.0.set("trace", "")?;
        // `rmmap-123     [000] .....    12.3: fault: ino=5 ...`
        let events = text.lines().filter(|line| !line.starts_with('#'));
        let event = |line: &str| Some(line.split_once("] ")?.1.split_once(": ")?.1.to_owned());
        Ok(events.filter_map(event).collect())
    }
}
