// SPDX-License-Identifier: GPL-2.0

//! The kernel's tracing, for what a program cannot see of itself.

use crate::outcome::{Result, Stop};
use crate::undo::Undo;
use rmmap_sys::rustix::mount::{mount, MountFlags};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the kernel's tracing, with a file or folder that the test needs in it; mounted if
/// it is not. `option` is the kernel option behind it.
pub fn folder(needed: &str, option: &str) -> Result<PathBuf> {
    let path = Path::new("/sys/kernel/tracing");
    if !path.join("events").exists() {
        let skip = |e| Stop::skip(format_args!("tracefs is not mounted and cannot be: {e}"));
        mount("tracefs", path, "tracefs", MountFlags::empty(), None).map_err(skip)?;
    }
    match path.join(needed).exists() {
        true => Ok(path.to_owned()),
        false => Err(Stop::skip(format_args!(
            "this kernel's tracing has no {needed} ({option})"
        ))),
    }
}

/// What one system call returns, in all processes, in a trace of its own. It ends with this, also
/// if the test is killed.
#[derive(Debug)]
pub struct SyscallExits {
    instance: PathBuf,
    _undo: Undo,
}

impl SyscallExits {
    /// Begins to record.
    pub fn of(number: u32) -> Result<Self> {
        let event = "events/raw_syscalls/sys_exit";
        let folder = folder(event, "FTRACE and HAVE_SYSCALL_TRACEPOINTS")?;
        let name = format!("rmmap-selftest-{}", std::process::id());
        let instance = folder.join("instances").join(name);
        let end = instance.clone();
        let undo = Undo::new(move || {
            let _ = fs::write(end.join(event).join("enable"), "0");
            let _ = fs::remove_dir(&end);
        })?;
        fs::create_dir(&instance)?;
        fs::write(
            instance.join(event).join("filter"),
            format!("id == {number}"),
        )?;
        fs::write(instance.join(event).join("enable"), "1")?;
        Ok(Self {
            instance,
            _undo: undo,
        })
    }

    /// What the calls of a thread returned so far.
    pub fn returned(&self, thread: i32) -> Result<Vec<i64>> {
        let trace = fs::read_to_string(self.instance.join("trace"))?;
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
