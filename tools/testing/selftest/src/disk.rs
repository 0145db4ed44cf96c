// SPDX-License-Identifier: GPL-2.0

//! Disks with a file system, and swap files.

use crate::mounts::Mounts;
use crate::outcome::{cannot, errno, Result, Stop};
use crate::undo::Undo;
use rmmap_sys::mounts::{swapoff, swapon, Loop};
use rmmap_sys::rustix::mount::MountFlags;
use rmmap_sys::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Loads drivers that are not built in. They stay loaded: an unused driver does nothing. A later
/// step names a missing driver.
pub fn load_drivers(names: &[&str]) {
    let _ = Command::new("modprobe").arg("-a").args(names).output();
}

/// Runs a program for its effect, or skips the test if it is not installed.
pub fn run(program: &str, arguments: &[&str]) -> Result {
    let what = || format!("{program} {}", arguments.join(" "));
    let skip = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Stop::skip(format_args!("there is no program {program}")),
        _ => cannot(format_args!("run {program}"), e),
    };
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(skip)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Stop::fail(format_args!(
            "{}: {}: {}",
            what(),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// Creates a file system whose blocks are pages, which ext4 can mount.
pub fn format(disk: &Path) -> Result {
    run(
        "busybox",
        &["mke2fs", "-b", "4096", &disk.to_string_lossy()],
    )
}

/// Mounts an empty ext4 of `mib` MiB, whose disk is a file in memory, and returns its folder.
pub fn ext4(mounts: &Mounts, mib: u64) -> Result<PathBuf> {
    load_drivers(&["loop", "ext4"]);
    let image = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(mounts.folder().join("disk.img"))?;
    image.set_len(mib << 20)?;
    let disk = Loop::new(&image).map_err(|e| match e {
        Errno::NOENT | Errno::NODEV => Stop::skip("this kernel has no loop devices"),
        e => cannot("make a loop device", e),
    })?;
    format(disk.path())?;
    mounts.mount("disk", "ext4", disk.path(), MountFlags::empty(), "")
}

/// Mounts an empty ext4 whose files are mapped with DAX: their pages are the disk's own memory.
pub fn dax_ext4(mounts: &Mounts) -> Result<PathBuf> {
    load_drivers(&["nd_e820", "nd_pmem", "ext4"]);
    let disk = Path::new("/dev/pmem0");
    if !disk.exists() {
        return Err(Stop::skip(
            "there is no /dev/pmem0: boot with memmap=32M!1G on a kernel with X86_PMEM_LEGACY",
        ));
    }
    format(disk)?;
    mounts.mount("dax", "ext4", disk, MountFlags::empty(), "dax=always")
}

/// A swap file, in use until it is dropped or the test is killed.
#[derive(Debug)]
pub struct Swap(#[expect(dead_code, reason = "dropped for its effect")] Undo);

impl Swap {
    /// Enables swapping to a file without holes.
    pub fn on(file: &Path) -> Result<Self> {
        run("mkswap", &[&file.to_string_lossy()])?;
        let path = file.to_owned();
        let undo = Undo::new(move || {
            // Ignore errors: swapon(2) may have failed.
            let _ = swapoff(&path);
        })?;
        match swapon(file) {
            Ok(()) => Ok(Self(undo)),
            Err(Errno::NOSYS) => Err(Stop::skip("this kernel does not swap")),
            Err(e) => Err(Stop::fail(format_args!("swapon: {}", errno(e)))),
        }
    }
}
