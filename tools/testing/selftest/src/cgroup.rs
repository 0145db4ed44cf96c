// SPDX-License-Identifier: GPL-2.0

//! A memory cgroup with a limit, and a process in it.

use crate::check_eq;
use crate::outcome::{cannot, lacks, Result, Stop};
use rmmap_sys::rustix::mm::{mlockall, MlockAllFlags};
use rmmap_sys::rustix::mount::{mount, MountFlags};
use rmmap_sys::{fork, End, Errno};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A memory cgroup with a limit, removed on drop.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Creates a cgroup, or returns the reason to skip the test.
    pub fn new(limit: usize) -> Result<Self> {
        let top = top_folder()?;
        // A controller that cannot be enabled is missing below; the skip's reason says so.
        let _ = fs::write(top.join("cgroup.subtree_control"), "+memory");
        let path = top.join(format!("rmmap-selftest-{}", std::process::id()));
        let what = "make a memory cgroup";
        fs::create_dir(&path).map_err(|e| cannot(what, e))?;
        let group = Self(path);
        // A cgroup has this file if its parent enables the memory controller.
        let limited = fs::write(group.0.join("memory.max"), limit.to_string());
        limited.map_err(|e| lacks(what, e, &[Errno::NOENT]))?;
        Ok(group)
    }

    /// Moves the calling process into it.
    fn enter(&self) -> std::io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), "0")
    }

    /// Opens the file of its limit. In a full cgroup opening it could fail, so a test opens it
    /// before it fills the cgroup.
    pub fn limit_file(&self) -> Result<File> {
        let path = self.0.join("memory.max");
        Ok(OpenOptions::new().write(true).open(path)?)
    }

    /// Returns the number in one of its files, or in its line `name N`.
    pub fn number(&self, file: &str, name: &str) -> Result<u64> {
        let text = fs::read_to_string(self.0.join(file))?;
        let mut words = text
            .split_whitespace()
            .skip_while(|w| !name.is_empty() && *w != name);
        let word = if name.is_empty() {
            words.next()
        } else {
            words.nth(1)
        };
        let number = word.and_then(|w| w.parse().ok());
        number.ok_or_else(|| Stop::fail(format_args!("{file} has no number {name:?}: {text}")))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // It is empty by now; if not, it stays, and its name shows its origin.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Returns where cgroup2 is mounted; mounts it if necessary.
fn top_folder() -> Result<PathBuf> {
    let is_top = |path: &Path| path.join("cgroup.subtree_control").exists();
    for path in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
        if is_top(Path::new(path)) {
            return Ok(path.into());
        }
    }
    let path = PathBuf::from("/sys/fs/cgroup");
    let none = MountFlags::empty();
    match mount("cgroup2", &path, "cgroup2", none, None) {
        Ok(()) if is_top(&path) => Ok(path),
        Ok(()) => Err(Stop::skip("cgroup2 has no controllers here")),
        Err(e) => Err(lacks("mount cgroup2", e, &[Errno::NODEV])),
    }
}

/// Runs `work` in a child in a cgroup, and returns its failure.
///
/// In a full cgroup any further page kills the child: one of the stack, one of the program that was
/// not read yet, or one for the message with the result. So the child first makes all of its memory
/// resident, with a stack as deep as the work may need, and raises the limit after the work.
pub fn in_cgroup(group: &Cgroup, work: impl FnOnce() -> Result) -> Result<Option<String>> {
    let mut limit = group.limit_file()?;
    let mut child = fork(|channel| {
        grow_stack();
        let ready = mlockall(MlockAllFlags::CURRENT).map_err(Stop::from);
        let ready = ready.and_then(|()| Ok(group.enter()?));
        let result = ready.and_then(|()| work());
        let lifted = limit.write_all(b"max").map_err(Stop::from);
        let text = match result.and(lifted) {
            Err(e) => format!("{e:?}"),
            Ok(()) => String::new(),
        };
        i32::from(channel.send(text.as_bytes()).is_err())
    })?;
    let text = child.channel().receive();
    check_eq!(
        child.wait()?,
        End::Exited(0),
        "the end of the process in the cgroup"
    );
    let text = String::from_utf8_lossy(&text?).into_owned();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Grows the stack by more than any work here needs.
#[inline(never)]
fn grow_stack() {
    std::hint::black_box(&mut [0u8; 256 << 10]);
}
