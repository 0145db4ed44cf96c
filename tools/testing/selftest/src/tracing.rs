// SPDX-License-Identifier: GPL-2.0

//! The kernel's tracing, for what a program cannot see of itself.

use crate::outcome::{Result, Stop};
use rmmap_sys::rustix::mount::{mount, MountFlags};
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
