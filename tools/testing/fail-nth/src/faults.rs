// SPDX-License-Identifier: GPL-2.0

//! Makes the n-th allocation, or copy from or to the program, of this thread fail.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The folder with the settings of fault injection.
const DEBUGFS: &str = "/sys/kernel/debug";

/// Allocations that may sleep, single pages and user pages fail, too.
/// The defaults spare them (mm/failslab.c, mm/fail_page_alloc.c).
const SETTINGS: [(&str, &str); 9] = [
    ("failslab/cache-filter", "Y"),
    ("failslab/ignore-gfp-wait", "N"),
    ("failslab/verbose", "0"),
    ("fail_page_alloc/ignore-gfp-wait", "N"),
    ("fail_page_alloc/ignore-gfp-highmem", "N"),
    ("fail_page_alloc/min-order", "0"),
    ("fail_page_alloc/verbose", "0"),
    // Copies have no probe: the stack is in the log.
    ("fail_usercopy/verbose", "2"),
    ("fail_usercopy/verbose_ratelimit_interval_ms", "0"),
];

/// Where each slab cache says whether its allocations may fail (`failslab_store()` of mm/slub.c).
const CACHES: &str = "/sys/kernel/slab";

/// Lets the allocations of all slab caches fail, but those of kmemleak: it allocates an object for
/// each object of the others, more often than all the rest, and differently each time.
pub fn let_caches_fail() -> Result<()> {
    for cache in fs::read_dir(CACHES).context(CACHES)? {
        let cache = cache?;
        let is_kmemleak = cache.file_name().as_bytes().starts_with(b"kmemleak_");
        let path = cache.path().join("failslab");
        fs::write(&path, if is_kmemleak { "0" } else { "1" })
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Sets up fault injection.
pub fn prepare() -> Result<()> {
    for (name, value) in SETTINGS {
        let path = Path::new(DEBUGFS).join(name);
        fs::write(&path, value)
            .with_context(|| format!("{}: is this the debug kernel?", path.display()))?;
    }
    let_caches_fail()?;
    // Nor on the serial console, which is slow. The kernel still prints an Oops there.
    fs::write("/proc/sys/kernel/printk", "1").context("/proc/sys/kernel/printk")
}

/// A thread's count of allocations until one fails.
pub struct Faults(File);

impl Faults {
    /// Opens that of this thread.
    pub fn of_this_thread() -> Result<Self> {
        let path = "/proc/thread-self/fail-nth";
        let file = File::options().read(true).write(true).open(path);
        Ok(Self(file.context(path)?))
    }

    /// Runs `f` with the `nth` allocation or copy failing, counted from 1; also returns whether
    /// there were this many.
    pub fn fail<T>(&self, nth: u32, f: impl FnOnce() -> T) -> Result<(T, bool)> {
        let nth = nth.to_string();
        let mut left = [0; 16];
        self.0.write_all_at(nth.as_bytes(), 0)?;
        let done = f();
        // Reading the number copies it to the program, and may itself fail: then nothing else did.
        let has_failed = match self.0.read_at(&mut left, 0) {
            Ok(len) => left[..len].trim_ascii() == b"0",
            Err(_) => false,
        };
        // So may this, once.
        let off = || self.0.write_all_at(b"0", 0);
        off().or_else(|_| off())?;
        Ok((done, has_failed))
    }
}
