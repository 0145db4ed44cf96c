// SPDX-License-Identifier: GPL-2.0

//! A closure in a forked child.

use crate::mapping::last_error;
use crate::{Channel, Errno};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::thread::sleep;
use std::time::Duration;

/// The end of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// A forked child. It is killed and reaped when dropped.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    channel: Channel,
    end: Option<End>,
}

/// The exit status of a child whose closure panicked (where panics unwind; else it is `SIGABRT`).
pub const PANICKED: i32 = 101;

/// Forks, runs `f` in the child and exits with what it returns; nothing else runs in the child.
///
/// # Errors
///
/// Those of `fork(2)` and `socketpair(2)`; `EBUSY` if this process has more than one thread, since
/// the child would have only the calling thread, but the locks of all.
pub fn fork<F: FnOnce(&Channel) -> i32>(f: F) -> io::Result<Child> {
    if !is_single_threaded()? {
        return Err(Errno::BUSY.into());
    }
    let (ours, theirs) = Channel::pair()?;
    // SAFETY: There is no other thread, so the child is a full copy of this process.
    match unsafe { libc::fork() } {
        -1 => Err(last_error().into()),
        0 => {
            drop(ours);
            // Ask the kernel to kill the child when the parent dies; a failure is harmless.
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            let code = catch_unwind(AssertUnwindSafe(|| f(&theirs))).unwrap_or(PANICKED);
            // SAFETY: This ends the child without running the parent's destructors and without
            // flushing its buffers.
            unsafe { libc::_exit(code) }
        }
        pid => {
            let pid = Pid::from_raw(pid).ok_or(Errno::CHILD)?;
            Ok(Child {
                pid,
                channel: ours,
                end: None,
            })
        }
    }
}

/// Forks a child that only exits, and waits for it. Unlike [`fork`] this allows other threads.
pub fn fork_and_exit() -> io::Result<()> {
    // SAFETY: Between the two calls the child does nothing, whatever locks other threads held.
    let pid = match unsafe { libc::fork() } {
        -1 => return Err(last_error().into()),
        // SAFETY: This ends the child without running anything of the parent's.
        0 => unsafe { libc::_exit(0) },
        pid => Pid::from_raw(pid).ok_or(Errno::CHILD)?,
    };
    rustix::process::waitpid(Some(pid), WaitOptions::empty())?;
    Ok(())
}

/// Goes on twice: returns `false` to the caller, and `true` in a copy of this process. That one is in a
/// session of its own, and keeps neither terminal nor pipes nor a folder busy.
///
/// # Errors
///
/// Those of `fork(2)`; `EBUSY` if this process has more than one thread.
pub fn fork_to_background() -> io::Result<bool> {
    if !is_single_threaded()? {
        return Err(Errno::BUSY.into());
    }
    // SAFETY: There is no other thread, so the child is a full copy of this process.
    match unsafe { libc::fork() } {
        -1 => Err(last_error().into()),
        0 => {
            // A child leads no process group, so this does not fail.
            rustix::process::setsid()?;
            rustix::process::chdir("/")?;
            let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())?;
            for standard in 0..3 {
                // SAFETY: Those who use these numbers know that they may be of any file.
                unsafe { libc::dup2(null.as_raw_fd(), standard) };
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Runs `f` in a forked child and returns how it ended and the bytes that it returned (none if it
/// did not get that far).
pub fn run_in_child<F: FnOnce() -> Vec<u8>>(f: F) -> io::Result<(End, Vec<u8>)> {
    let mut child = fork(|channel| i32::from(channel.send(&f()).is_err()))?;
    let answer = match child.channel().receive() {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Vec::new(),
        answer => answer?,
    };
    Ok((child.wait()?, answer))
}

impl Child {
    /// Returns its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns this end of the channel between parent and child.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.end {
            None => Ok(rustix::process::kill_process(self.pid, signal)?),
            Some(_) => Err(Errno::SRCH.into()),
        }
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> io::Result<End> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        loop {
            match rustix::process::waitpid(Some(self.pid), WaitOptions::empty()) {
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
                Ok(None) => {}
                Ok(Some((_, status))) => {
                    let end = match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => End::Exited(code),
                        (None, Some(signal)) => End::Killed(signal),
                        (None, None) => continue,
                    };
                    self.end = Some(end);
                    return Ok(end);
                }
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.end.is_none() {
            // Ignores errors: a process that has ended needs no killing.
            let _ = self.signal(Signal::KILL);
            let _ = self.wait();
        }
    }
}

/// Returns whether this process has one thread; waits briefly for joined ones to disappear.
fn is_single_threaded() -> io::Result<bool> {
    for _ in 0..100 {
        if std::fs::read_dir("/proc/self/task")?.count() == 1 {
            return Ok(true);
        }
        // pthread_join returns when the kernel has cleared the thread's id, before the thread
        // leaves /proc.
        sleep(Duration::from_millis(1));
    }
    Ok(false)
}

/// Returns whether this process has one thread now; a joined one may still count. Allocates nothing.
pub(crate) fn has_one_thread() -> bool {
    // A folder has two links, and this one has another for each thread (fs/proc/base.c).
    rustix::fs::stat("/proc/self/task").is_ok_and(|stat| stat.st_nlink == 3)
}
