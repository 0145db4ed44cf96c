// SPDX-License-Identifier: GPL-2.0

//! System-wide settings that a test changes and restores.

use crate::outcome::{cannot, lacks, Result, Stop};
use rmmap_sys::Errno;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A changed file of `/proc/sys`, restored on drop.
#[derive(Debug)]
pub struct Sysctl {
    /// Stays open: restoring must not open a file, because `fs.file-max` may forbid that.
    file: File,
    path: PathBuf,
    before: String,
}

impl Sysctl {
    /// Sets `name` (`vm/overcommit_memory`), or skips the test if the kernel lacks the setting or
    /// the user may not change it.
    pub fn set(name: &str, value: impl ToString) -> Result<Self> {
        let path = path(name);
        let what = format!("set {name}");
        let before = fs::read_to_string(&path).map_err(|e| lacks(&what, e, &[Errno::NOENT]))?;
        let file = OpenOptions::new().write(true).open(&path);
        let file = file.map_err(|e| cannot(&what, e))?;
        let sysctl = Self { file, path, before };
        sysctl.change(value).map_err(|e| cannot(&what, e))?;
        Ok(sysctl)
    }

    /// Restores `name` on drop, after the kernel may have changed it.
    pub fn keep(name: &str) -> Result<Self> {
        let value =
            fs::read_to_string(path(name)).map_err(|e| cannot(format!("read {name}"), e))?;
        Self::set(name, value)
    }

    /// Sets it again; opens nothing.
    pub fn change(&self, value: impl ToString) -> std::io::Result<()> {
        self.file
            .write_all_at(value.to_string().trim().as_bytes(), 0)
    }

    /// Returns its current value.
    pub fn value(&self) -> std::io::Result<u64> {
        let text = fs::read_to_string(&self.path)?;
        text.trim().parse().map_err(std::io::Error::other)
    }
}

impl Drop for Sysctl {
    fn drop(&mut self) {
        // The harness compares the settings, and notices a failure.
        let _ = self.change(&self.before);
    }
}

fn path(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name)
}

/// The settings that tests may change.
const WATCHED: &[&str] = &[
    "fs/file-max",
    "vm/compact_unevictable_allowed",
    "vm/compaction_proactiveness",
    "vm/lowmem_reserve_ratio",
    "vm/max_map_count",
    "vm/memfd_noexec",
    "vm/min_free_kbytes",
    "vm/mmap_min_addr",
    "vm/nr_hugepages",
    "vm/overcommit_memory",
    "vm/percpu_pagelist_high_fraction",
    "vm/watermark_boost_factor",
];

/// The former settings, in case a test is killed before it restores them.
#[derive(Debug)]
pub struct Settings(Vec<(&'static str, String)>);

impl Settings {
    /// Reads the settings that tests may change; a kernel may lack some.
    pub fn read() -> Self {
        let value = |name: &&'static str| Some((*name, fs::read_to_string(path(name)).ok()?));
        Self(WATCHED.iter().filter_map(value).collect())
    }

    /// Returns settings with this value, for a test.
    #[cfg(test)]
    pub(crate) fn of(name: &'static str, value: &str) -> Self {
        Self(vec![(name, value.to_owned())])
    }

    /// Restores all settings, and fails if one had changed. Continues with the others if one cannot
    /// be restored.
    pub fn restore(&self) -> Result {
        let mut changed = Vec::new();
        for (name, before) in &self.0 {
            match restore(name, before) {
                Ok(false) => {}
                Ok(true) => changed.push(format!("{name} (it was {})", before.trim())),
                Err(e) => changed.push(format!("{name}, which cannot be restored: {e}")),
            }
        }
        match changed.is_empty() {
            true => Ok(()),
            false => Err(Stop::Fail(format!("left behind: {}", changed.join(", ")))),
        }
    }
}

/// Restores one setting, and returns whether it had changed.
fn restore(name: &str, before: &str) -> std::io::Result<bool> {
    let is_other = fs::read_to_string(path(name))? != before;
    if is_other {
        fs::write(path(name), before.trim())?;
    }
    Ok(is_other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_change_is_no_failure() {
        let settings = Settings::read();
        assert!(settings.0.iter().any(|(name, _)| *name == "fs/file-max"));
        assert_eq!(settings.restore(), Ok(()));
    }

    #[test]
    fn what_the_kernel_lacks_is_a_reason_to_skip() {
        match Sysctl::set("vm/there-is-no-such", 1) {
            Err(Stop::Skip(why)) => {
                assert!(why.starts_with("this kernel cannot set vm/there-is-no-such: "));
                assert!(!why.contains("root"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_that_is_refused_is_a_failure() {
        // A file that anyone may open for writing; a value that is no number is EINVAL.
        match Sysctl::set("../self/coredump_filter", "no number") {
            Err(Stop::Fail(why)) => assert!(why.contains("cannot set"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}
