// SPDX-License-Identifier: GPL-2.0

//! Signals to `rmmap exec`: the program gets those that are meant for it.
//!
//! The program is in the same process group, so that a terminal's signals reach it without help. Those
//! that somebody sends to this process alone are passed on.

use anyhow::Context;
use nix::sys::{
    signal::{
        SigSet,
        Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    },
    signalfd::{siginfo, SfdFlags, SignalFd},
};
use rmmap_sys::{rustix::process::Signal, Child};

/// Signals that wait in a descriptor.
pub struct Signals {
    /// The descriptor.
    pub fd: SignalFd,
    /// What was blocked before.
    pub before: SigSet,
}

impl Signals {
    /// Has signals wait from now on.
    pub fn hold() -> anyhow::Result<Self> {
        let held = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
        let held: SigSet = held.into_iter().collect();
        let before = SigSet::thread_get_mask().context("cannot read the signal mask")?;
        held.thread_block().context("cannot block signals")?;
        let fd = SignalFd::with_flags(&held, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .context("cannot make a descriptor for signals")?;
        Ok(Self { fd, before })
    }

    /// Passes on to the program what came for it.
    pub fn pass_on(&self, program: &Child) -> anyhow::Result<()> {
        while let Some(info) = self.fd.read_signal().context("cannot read a signal")? {
            let signal = Signal::from_named_raw(info.ssi_signo as i32);
            if let (true, Some(signal)) = (is_for_program(&info, program), signal) {
                // It may have ended, which the caller finds next.
                let _ = program.signal(signal);
            }
        }
        Ok(())
    }
}

/// Returns whether a process sent it, and another one than the program.
fn is_for_program(info: &siginfo, program: &Child) -> bool {
    // A terminal's have SI_KERNEL, which is positive.
    info.ssi_code <= 0 && info.ssi_pid != program.pid().as_raw_nonzero().get() as u32
}
