// SPDX-License-Identifier: GPL-2.0

//! A folder for the files of a test.

use crate::outcome::{Result, Stop};
use rmmap_sys::rustix::process::getpid;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder, removed on drop.
pub struct Folder(PathBuf);

impl Folder {
    /// Creates a folder in the first place that is writable: `/tmp` may be read-only.
    pub fn new(about: &str) -> Result<Self> {
        let name = format!("rmmap-{about}-{}", getpid().as_raw_nonzero());
        let places = [std::env::temp_dir(), "/dev/shm".into(), "/run".into()];
        let folders = places.iter().map(|place| place.join(&name));
        let mut made = folders.filter(|folder| fs::create_dir(folder).is_ok());
        let none = || Stop::skip(format_args!("needs one of {places:?} to write to"));
        made.next().map(Self).ok_or_else(none)
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that cannot be removed is no failure of the tested code.
        let _ = fs::remove_dir_all(&self.0);
    }
}
