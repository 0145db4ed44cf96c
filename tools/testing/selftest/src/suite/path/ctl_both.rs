// SPDX-License-Identifier: GPL-2.0

//! A driver with both hooks: the kernel warns once per boot. The lab expects this warning from this
//! test (`tools/guest/src/expected.rs`); any other warning, and this one elsewhere, fails the run.

use crate::context::Context;
use crate::ctl::Ctl;
use crate::outcome::{lacks, Result};
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::Errno;
use std::fs::{write, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

cases! {
    With("rmmap_ctl") ctl_both_hooks_warn ["DM-39"] "a driver with both hooks: ENODEV, and one warning in the kernel log";
}

fn ctl_both_hooks_warn(_: &Context) -> Result {
    let ctl = Ctl::open("both")?;
    // WARN_ON_ONCE() warns once per boot, unless `clear_warn_once` resets it.
    let forget = write("/sys/kernel/debug/clear_warn_once", "1");
    forget.map_err(|e| lacks("forget its warnings (debugfs)", e, &[Errno::NOENT]))?;
    let mut log = open_log_at_its_end()?;
    for _ in 0..2 {
        check_err!(ctl.pages(1).map(&ctl), Errno::NODEV);
    }
    check_err!(ctl.pages(1).private().map(&ctl), Errno::NODEV);
    check_eq!(ctl.get("hook")?, 0, "calls of a hook");
    let lines = read_to_the_end(&mut log)?;
    let warnings: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("WARNING: "))
        .collect();
    check_eq!(warnings.len(), 1, "the number of {warnings:?}");
    check!(
        warnings[0].contains("include/linux/fs.h:") && warnings[0].contains(" at do_mmap+"),
        "the warning is {}",
        warnings[0]
    );
    Ok(())
}

fn open_log_at_its_end() -> Result<File> {
    let nonblock = OFlags::NONBLOCK.bits() as i32;
    let log = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open("/dev/kmsg");
    let mut log = log?;
    log.seek(SeekFrom::End(0))?;
    Ok(log)
}

/// Returns the new records of `/dev/kmsg`.
fn read_to_the_end(log: &mut File) -> Result<Vec<String>> {
    let mut records = Vec::new();
    let mut record = [0; 8192];
    loop {
        match log.read(&mut record) {
            Ok(len) => records.push(String::from_utf8_lossy(&record[..len]).into_owned()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(records),
            Err(e) => return Err(e.into()),
        }
    }
}
