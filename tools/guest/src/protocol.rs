// SPDX-License-Identifier: GPL-2.0
//! The protocol between host and guest: files in one folder that both see.
//!
//! The console is no channel for results: a panicking kernel writes to it, and so does everyone
//! else.

use serde::{Deserialize, Serialize};

/// Where the guest mounts the folder.
pub const GUEST_DIR: &str = "/run/lab";

/// The folder for the command's files for the host, below [`GUEST_DIR`] and below the run's folder.
pub const OUT: &str = "out";

/// The name under which the agent is the guest's login shell.
pub const SHELL: &str = "rmmap-guest-shell";

/// Host to guest: what to do ([`Request`] as JSON).
pub const REQUEST: &str = "request.json";
/// Guest to host: userspace is up and the agent runs.
pub const STARTED: &str = "started";
/// Guest to host: the command's standard output.
pub const STDOUT: &str = "stdout";
/// Guest to host: the command's standard error, and the agent's own messages.
pub const STDERR: &str = "stderr";
/// Guest to host: the whole kernel log, one `<priority>[seconds] text` a line.
pub const DMESG: &str = "dmesg";
/// Guest to host: the exit status in decimal. Written last, in one piece.
pub const STATUS: &str = "status";
/// Host only: the kernel's output on the serial console.
pub const CONSOLE: &str = "console.log";

/// A status of the agent's own, when a module did not load or unload.
pub const MODULE_FAILED: i32 = 125;
/// The command could not be started, as shells report it.
pub const NOT_STARTED: i32 = 127;

/// The host's orders for the guest.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Modules to load first, each as the arguments of one `insmod`, and to remove in reverse order
    /// afterwards.
    pub insmod: Vec<Vec<String>>,
    /// The command and its arguments; a shell when empty.
    pub command: Vec<String>,
    /// Variables for the command.
    pub env: Vec<(String, String)>,
    /// Whether a person uses the console: it becomes the command's terminal.
    pub interactive: bool,
}
