// SPDX-License-Identifier: GPL-2.0

//! Private mounts, and disks made of files.

use crate::mapping::last_error;
use crate::{Errno, Result};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{mount_change, MountPropagationFlags};
use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Gives the calling process a mount namespace of its own. The kernel unmounts everything in it
/// when the process and its children have ended, however they end.
///
/// # Errors
///
/// Those of `unshare(2)` and `mount(2)`: `EPERM` without `CAP_SYS_ADMIN`.
pub fn unshare_mounts() -> Result<()> {
    // SAFETY: Only unsharing FILES can take descriptors away from other threads.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
}

/// A loop device: a block device backed by a file. It is removed when nobody has it open or
/// mounted.
#[derive(Debug)]
pub struct Loop {
    _fd: OwnedFd,
    path: PathBuf,
}

/// `struct loop_config` of `linux/loop.h`; a field with 0 has its default value.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    /// `lo_device`, `lo_inode`, `lo_rdevice`, `lo_offset`, `lo_sizelimit`.
    places: [u64; 5],
    /// `lo_number`, `lo_encrypt_type`, `lo_encrypt_key_size`.
    numbers: [u32; 3],
    flags: u32,
    /// `lo_file_name`, `lo_crypt_name`, `lo_encrypt_key`, `lo_init`.
    names: [u8; 64 + 64 + 32 + 16],
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<LoopConfig>() == 304);

impl Loop {
    /// Makes one of a file that is open for reading and writing. Needs the module `loop`.
    ///
    /// # Errors
    ///
    /// Those of the calls: `ENOENT` without the module, `EACCES` or `EPERM` without root.
    pub fn new(file: impl AsFd) -> Result<Self> {
        const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82;
        const LOOP_CONFIGURE: libc::Ioctl = 0x4c0a;
        const LO_FLAGS_AUTOCLEAR: u32 = 4;
        let open =
            |path: &Path| rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        let control = open(Path::new("/dev/loop-control"))?;
        loop {
            // SAFETY: The ioctl takes no argument.
            let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
            if number < 0 {
                return Err(last_error());
            }
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let fd = open(&path)?;
            let config = LoopConfig {
                fd: file.as_fd().as_raw_fd() as u32,
                block_size: 0,
                places: [0; 5],
                numbers: [0; 3],
                flags: LO_FLAGS_AUTOCLEAR,
                names: [0; 176],
                reserved: [0; 8],
            };
            // SAFETY: The ioctl reads a `LoopConfig`.
            match unsafe { libc::ioctl(fd.as_raw_fd(), LOOP_CONFIGURE, &raw const config) } {
                0 => return Ok(Self { _fd: fd, path }),
                // Another process took this device first.
                _ if last_error() == Errno::BUSY => {}
                _ => return Err(last_error()),
            }
        }
    }

    /// Returns the block device's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Calls `swapon(2)` on a file that `mkswap` has prepared.
pub fn swapon(path: &Path) -> Result<()> {
    let path = c_path(path)?;
    // SAFETY: The string ends with 0.
    match unsafe { libc::swapon(path.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Calls `swapoff(2)`.
pub fn swapoff(path: &Path) -> Result<()> {
    let path = c_path(path)?;
    // SAFETY: The string ends with 0.
    match unsafe { libc::swapoff(path.as_ptr()) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)
}
