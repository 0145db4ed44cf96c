// SPDX-License-Identifier: GPL-2.0

//! `rmmap exec`: runs a program whose memfds are regions.
//!
//! The program is a child with a seccomp filter, which it hands on to all that it forks and executes.
//! Its memfd_create(2) and the fcntl(2) calls for seals wait, and this process answers them.

mod serve;
mod signals;
mod summary;

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::process::CommandExt,
    },
    process::{Command, ExitCode},
};

use anyhow::{anyhow, bail, Context};
use nix::sys::signal::SigSet;
use rmmap_sys::{
    fork, fork_to_background,
    process::reset,
    rustix::{
        event::{poll, PollFd, PollFlags, Timespec},
        io::Errno,
        process::{pidfd_open, PidfdFlags, Signal},
    },
    seccomp::{self, Listener},
    Channel, Child, End,
};
use rmmap_uapi::{RMMAP_CREATE_ADAPTIVE, RMMAP_CREATE_ALWAYS, RMMAP_CREATE_NEVER};

use crate::{device, status::CANNOT_RUN};
use serve::Server;
use signals::Signals;

/// Exit status when there is no such program, as of env(1) and a shell.
const NOT_FOUND: u8 = 127;

/// Exit status when the program is there and cannot be run.
const NOT_RUNNABLE: u8 = 126;

/// Options of `rmmap exec`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folio policy of the regions; without it they inherit the device's
    #[arg(long, value_enum)]
    policy: Option<Policy>,

    /// Print regions, folios and faults to standard error when the program has ended
    #[arg(long)]
    stat: bool,

    /// The program and its arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

/// A folio policy.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Policy {
    /// Single pages
    Never,
    /// Larger folios where the accesses suggest them
    Adaptive,
    /// The largest folios that fit, at the first touch
    Always,
}

impl Policy {
    /// The flag of `RMMAP_IOC_CREATE`.
    fn flag(self) -> u32 {
        match self {
            Self::Never => RMMAP_CREATE_NEVER,
            Self::Adaptive => RMMAP_CREATE_ADAPTIVE,
            Self::Always => RMMAP_CREATE_ALWAYS,
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (device, _) = device::open()?;
    let before = args.stat.then(|| device::stats(&device)).transpose()?;
    let mut server = Server::new(device, args.policy.map_or(0, Policy::flag))?;
    let signals = Signals::hold()?;
    reset(Signal::CHILD).context("cannot reset SIGCHLD")?;
    let mut program = fork(|channel| i32::from(begin(channel, &args.command, &signals.before)))
        .context("cannot fork")?;
    let listener = listener(program.channel())?;
    let end = supervise(&mut server, &listener, &mut program, &signals)?;
    if let Some(before) = before {
        let after = device::stats(&server.device)?;
        let text = summary::text(&server.tally, &before.device, &after.device);
        anstream::eprintln!("{text}");
    }
    let code = match end {
        End::Exited(code) => code,
        End::Killed(signal) => 128 + signal,
    };
    // Processes that the program left still wait for answers.
    if !is_unused(&listener)? && fork_to_background().context("cannot fork")? {
        serve_the_rest(&mut server, &listener)?;
    }
    Ok(ExitCode::from(code as u8))
}

/// Becomes the program, in the child; returns an exit status if it cannot.
fn begin(channel: &Channel, command: &[OsString], mask: &SigSet) -> u8 {
    let ready = || -> io::Result<bool> {
        match seccomp::listen() {
            Ok(listener) => {
                channel.send(b"")?;
                channel.send_fd(&listener)?;
            }
            Err(errno) => {
                channel.send(explain(errno).as_bytes())?;
                return Ok(false);
            }
        }
        mask.thread_set_mask()?;
        Ok(true)
    };
    // The parent says why, or is gone.
    if !ready().unwrap_or(false) {
        return CANNOT_RUN;
    }
    let [program, args @ ..] = command else {
        return NOT_FOUND;
    };
    let error = Command::new(program).args(args).exec();
    anstream::eprintln!("rmmap: cannot run {}: {error}", program.to_string_lossy());
    match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_RUNNABLE,
    }
}

/// Receives the listener from the child.
fn listener(channel: &Channel) -> anyhow::Result<Listener> {
    let why = channel
        .receive()
        .context("the child ended before the program")?;
    if !why.is_empty() {
        bail!("{}", String::from_utf8_lossy(&why));
    }
    let fd = channel
        .receive_fd()
        .context("the child sent no descriptor")?;
    Ok(fd.into())
}

/// Says why there is no listener.
fn explain(errno: Errno) -> String {
    match errno {
        Errno::BUSY => "another program answers system calls of this one already (a container \
                        manager, another `rmmap exec`), and seccomp allows one"
            .to_owned(),
        Errno::INVAL | Errno::NOSYS => "this kernel cannot ask another process to answer system \
                                        calls: it needs CONFIG_SECCOMP_FILTER"
            .to_owned(),
        errno => anyhow!(errno)
            .context("cannot install the seccomp filter")
            .to_string(),
    }
}

/// Answers calls and passes signals on until the program ends.
fn supervise(
    server: &mut Server,
    listener: &Listener,
    program: &mut Child,
    signals: &Signals,
) -> anyhow::Result<End> {
    let pidfd = pidfd_open(program.pid(), PidfdFlags::empty()).context("cannot watch the child")?;
    let mut calls = listener.as_fd();
    loop {
        let [ended, called, signalled] = wait([pidfd.as_fd(), calls, signals.fd.as_fd()])?;
        if called.contains(PollFlags::IN) {
            server.serve(listener)?;
        } else if called.contains(PollFlags::HUP) {
            // The program is about to end, which may take long, and the hang-up remains.
            calls = pidfd.as_fd();
        }
        if signalled.contains(PollFlags::IN) {
            signals.pass_on(program)?;
        }
        if ended.contains(PollFlags::IN) {
            return program.wait().context("cannot wait for the program");
        }
    }
}

/// Answers the calls of those whom the program left, until none of them has the filter.
fn serve_the_rest(server: &mut Server, listener: &Listener) -> anyhow::Result<()> {
    loop {
        let [called] = wait([listener.as_fd()])?;
        if called.contains(PollFlags::IN) {
            server.serve(listener)?;
        } else if called.contains(PollFlags::HUP) {
            return Ok(());
        }
    }
}

/// Returns whether no process has the filter any more.
fn is_unused(listener: &Listener) -> anyhow::Result<bool> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(listener, PollFlags::empty())];
    poll(&mut fds, Some(&now)).context("poll failed")?;
    Ok(fds[0].revents().contains(PollFlags::HUP))
}

/// Waits until one of them has something to read, or hangs up; returns what each has.
fn wait<const N: usize>(fds: [BorrowedFd<'_>; N]) -> anyhow::Result<[PollFlags; N]> {
    let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    match poll(&mut fds, None) {
        Ok(_) => Ok(fds.map(|fd| fd.revents())),
        Err(Errno::INTR) => Ok([PollFlags::empty(); N]),
        Err(errno) => Err(errno).context("poll failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_there_is_no_listener_is_one_line_with_a_cause() {
        for (errno, word) in [
            (Errno::BUSY, "already"),
            (Errno::INVAL, "CONFIG_SECCOMP_FILTER"),
            (Errno::NOSYS, "CONFIG_SECCOMP_FILTER"),
            (Errno::NOMEM, "seccomp filter"),
        ] {
            let text = explain(errno);
            assert!(text.contains(word) && text.lines().count() == 1, "{text}");
            assert!(!text.contains("  "), "{text}");
        }
    }
}
