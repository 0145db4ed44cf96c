// SPDX-License-Identifier: GPL-2.0

//! Loads and unloads a kernel module.

use crate::{Errno, Result};
use rustix::fs::{Mode, OFlags};
use std::ffi::CString;
use std::path::Path;

/// Loads the module in a file by `finit_module(2)`, with parameters like `capacity=4096 prepare=1`.
///
/// # Errors
///
/// Those of the calls. The reason for an `EINVAL` or `ENOEXEC` is in the kernel log.
pub fn load(path: impl AsRef<Path>, parameters: &str) -> Result<()> {
    let file = rustix::fs::open(
        path.as_ref(),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let parameters = CString::new(parameters).map_err(|_| Errno::INVAL)?;
    rustix::system::finit_module(file, &parameters, 0)
}

/// Loads a module image from memory by `init_module(2)`.
///
/// # Errors
///
/// As for [`load`].
pub fn load_image(image: &[u8], parameters: &str) -> Result<()> {
    let parameters = CString::new(parameters).map_err(|_| Errno::INVAL)?;
    rustix::system::init_module(image, &parameters)
}

/// Calls `delete_module(2)` as rmmod does: without waiting or forcing.
///
/// # Errors
///
/// Those of the call; `EWOULDBLOCK` while the module is in use.
pub fn unload(name: &str) -> Result<()> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    rustix::system::delete_module(&name, OFlags::NONBLOCK.bits() as i32)
}

/// Returns the remedy for an error of [`load`], [`load_image`] or [`unload`], to be appended to it.
pub fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM => "; run this as root",
        Errno::WOULDBLOCK => "; it is in use: close its files and unmap its memory first",
        Errno::INVAL | Errno::NOEXEC => "; `dmesg` has the reason",
        _ => "",
    }
}

/// Returns whether a module is loaded.
pub fn is_loaded(name: &str) -> bool {
    // Built-in modules also have a folder, but no state.
    Path::new("/sys/module")
        .join(name)
        .join("initstate")
        .exists()
}
