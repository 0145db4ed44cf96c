// SPDX-License-Identifier: GPL-2.0

//! Common parts of the samples' tests.

use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use rmmap_procfs::{Map, Process};
use rmmap_sys::process::faults;
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::{Device, MapOptions, Mapping};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

/// Opens the device of a sample.
#[track_caller]
pub fn open(name: &str) -> Result<Device> {
    let path = format!("/dev/{name}");
    Device::open_path(&path, OFlags::RDWR)
        .map_err(|e| Stop::fail(format_args!("cannot open {path}: {e}")))
}

/// Maps the first pages of a device, shared.
#[track_caller]
pub fn map(fd: &Device, pages: usize) -> Result<Mapping> {
    Ok(MapOptions::new(pages * P).map(fd)?)
}

/// Returns the VMAs of a sample's device in this process.
#[track_caller]
pub fn vmas_of(name: &str) -> Result<Vec<Map>> {
    let path = format!("/dev/{name}");
    let mut maps = Process::Myself.maps()?;
    maps.retain(|map| map.name.as_deref() == Some(path.as_str()));
    Ok(maps)
}

/// Runs a test with both hooks of a sample that has the parameter `prepare`; the argument of the
/// test is whether the hook is `mmap_prepare`.
pub fn with_each_hook(cx: &Context, name: &str, run: fn(&Context, bool) -> Result) -> Result {
    let loader = cx.loader()?.sibling(name).map_err(Stop::Fail)?;
    for prepare in [true, false] {
        let parameter = format!("prepare={}", u8::from(prepare));
        loader.reload_with(&[&parameter])?;
        run(cx, prepare).map_err(|stop| match stop {
            Stop::Fail(why) => Stop::Fail(format!("{name} {parameter}: {why}")),
            skip => skip,
        })?;
    }
    Ok(())
}

/// Returns the number of page faults that `access` takes for the first byte of each page.
///
/// Like [`faults_of_stores`](crate::view::faults_of_stores), it touches other memory first, so that
/// the code itself has already faulted.
#[track_caller]
pub fn faults_of(m: &Mapping, access: fn(&Mapping, usize) -> Result) -> Result<u64> {
    let scratch = MapOptions::new(P).private().map_anonymous()?;
    let mut taken = 0;
    for m in [&scratch, &scratch, m] {
        let before = faults();
        for page in 0..m.pages() {
            access(m, page)?;
        }
        taken = faults().minor - before.minor;
    }
    Ok(taken)
}

/// Loads the first byte of a page; for [`faults_of`].
pub fn load(m: &Mapping, page: usize) -> Result {
    m.touch_read(page)?;
    Ok(())
}

/// Opens `/proc/self/mem`, as a debugger opens that of another process.
#[track_caller]
pub fn own_memory() -> Result<File> {
    let mut options = OpenOptions::new();
    Ok(options.read(true).write(true).open("/proc/self/mem")?)
}

/// Reads bytes of this process through its `mem` file; returns fewer where the kernel has no more.
#[track_caller]
pub fn peek(memory: &File, address: usize, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0xee; len];
    let n = memory.read_at(&mut bytes, address as u64)?;
    bytes.truncate(n);
    Ok(bytes)
}
