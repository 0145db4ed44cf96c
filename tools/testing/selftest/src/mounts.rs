// SPDX-License-Identifier: GPL-2.0

//! File systems that a test mounts for itself.

use crate::outcome::{cannot, Result, Stop};
use rmmap_sys::mounts::unshare_mounts;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mount::{mount, MountFlags};
use rmmap_sys::{uapi, Device, Errno};
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

/// The mount point: every root file system has this folder for the purpose, so the test creates
/// none.
const TOP: &str = "/mnt";

/// Mounts that only the calling test sees, and that end with it, even if it is killed.
#[derive(Debug)]
pub struct Mounts(());

impl Mounts {
    /// Prepares a writable folder to mount in, or returns the reason to skip the test.
    pub fn new() -> Result<Self> {
        unshare_mounts().map_err(|e| cannot("unshare the mounts", e))?;
        let none = MountFlags::empty();
        mount("rmmap-selftest", TOP, "tmpfs", none, None)
            .map_err(|e| cannot("mount a tmpfs on /mnt", e))?;
        Ok(Self(()))
    }

    /// Returns the folder, a tmpfs of its own.
    pub fn folder(&self) -> &'static Path {
        Path::new(TOP)
    }

    /// Mounts a file system in a new folder below, or returns the reason to skip the test.
    pub fn mount(
        &self,
        name: &str,
        kind: &str,
        source: &Path,
        flags: MountFlags,
        options: &str,
    ) -> Result<PathBuf> {
        let target = self.folder().join(name);
        fs::create_dir(&target)?;
        let data = CString::new(options).map_err(|_| Errno::INVAL)?;
        match mount(source, &target, kind, flags, data.as_c_str()) {
            Ok(()) => Ok(target),
            Err(Errno::NODEV) => Err(Stop::skip(format_args!("this kernel has no {kind}"))),
            Err(e) => {
                let what = format!("mount {kind} with the options {options:?}");
                Err(cannot(what, e))
            }
        }
    }

    /// Opens `/dev/rmmap` through another mount of `/dev`, with or without `noexec`: systems mount
    /// `/dev` itself either way.
    pub fn device(&self, flags: MountFlags, mode: OFlags) -> Result<Device> {
        let name = if flags.is_empty() { "exec" } else { "noexec" };
        let folder = match self.folder().join(name) {
            folder if folder.exists() => folder,
            _ => self.mount(name, "devtmpfs", Path::new("dev"), flags, "")?,
        };
        let node = Path::new(uapi::RMMAP_DEVICE).file_name();
        let node = node.ok_or_else(|| Stop::fail("the device has no name"))?;
        Ok(Device::open_path(folder.join(node), mode)?)
    }
}
