// SPDX-License-Identifier: GPL-2.0

//! Clean-up that runs even if the test is killed.

use crate::outcome::Result;
use rmmap_sys::rustix::process::{set_parent_process_death_signal, setpgid};
use rmmap_sys::{fork, Child};

/// A child that waits until the test ends or this is dropped, and then undoes a change.
///
/// The kernel does not restore settings when a process ends. Mounts and loop devices need no
/// undoing: they end with the process.
#[derive(Debug)]
pub struct Undo(Child);

impl Undo {
    /// Starts the child, before there is anything to undo. When this returns, killing the test's
    /// processes no longer kills the child.
    pub fn new(undo: impl FnOnce()) -> Result<Self> {
        let child = fork(|channel| {
            // The harness kills the test's group.
            let apart = setpgid(None, None).and_then(|()| set_parent_process_death_signal(None));
            if apart.is_err() || channel.send(b"ready").is_err() {
                return 1;
            }
            // Drop sends a message; if the test was killed, the kernel closes the other end.
            let _ = channel.receive();
            undo();
            0
        })?;
        child.channel().receive()?;
        Ok(Self(child))
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        // If the message cannot be sent, the child sees the end of this process.
        if self.0.channel().send(b"now").is_ok() {
            let _ = self.0.wait();
        }
    }
}
