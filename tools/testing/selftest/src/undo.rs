// SPDX-License-Identifier: GPL-2.0

//! Something that has to be undone even if the test is killed.

use crate::outcome::Result;
use rmmap_sys::rustix::process::{set_parent_process_death_signal, setpgid};
use rmmap_sys::{fork, Child};

/// A child that waits for the end of the test, or for this to be dropped, and then undoes.
///
/// Nothing in the kernel does it for a process that ends; mounts and loop devices need none.
#[derive(Debug)]
pub struct Undo(Child);

impl Undo {
    /// Starts to wait, before there is anything to undo. When it returns, nothing that kills the
    /// test's processes kills this one.
    pub fn new(undo: impl FnOnce()) -> Result<Self> {
        let child = fork(|channel| {
            // The harness kills the test's group.
            let apart = setpgid(None, None).and_then(|()| set_parent_process_death_signal(None));
            if apart.is_err() || channel.send(b"ready").is_err() {
                return 1;
            }
            // The other end is closed by Drop, or by the kernel.
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
