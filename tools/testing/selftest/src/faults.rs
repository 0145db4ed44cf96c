// SPDX-License-Identifier: GPL-2.0

//! Allocations of a system call that fail on demand, one after the other (`/proc/PID/fail-nth`).

use crate::outcome::{lacks, Result};
use crate::undo::Undo;
use rmmap_sys::Errno;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The folder with the settings of fault injection.
const DEBUGFS: &str = "/sys/kernel/debug";

/// The changed settings: allocations that may sleep also fail, without a line in the log.
const SETTINGS: [(&str, &str); 4] = [
    ("failslab/ignore-gfp-wait", "N"),
    ("failslab/verbose", "0"),
    ("fail_page_alloc/verbose", "0"),
    ("fail_usercopy/verbose", "0"),
];

/// Makes allocations of this thread fail.
#[derive(Debug)]
pub struct Faults {
    nth: File,
    _undo: Undo,
}

impl Faults {
    /// Prepares fault injection, or returns the reason to skip the test.
    pub fn new() -> Result<Self> {
        let what = "make an allocation fail on demand (FAILSLAB, FAULT_INJECTION_DEBUG_FS)";
        let mut before = Vec::new();
        for (name, value) in SETTINGS {
            let path = Path::new(DEBUGFS).join(name);
            match fs::read_to_string(&path) {
                Ok(text) => before.push((path, text, value)),
                // A kernel may lack the others.
                Err(_) if !name.starts_with("failslab") => {}
                Err(e) => return Err(lacks(what, e, &[Errno::NOENT])),
            }
        }
        let back: Vec<(PathBuf, String)> = before
            .iter()
            .map(|(path, text, _)| (path.clone(), text.trim().to_owned()))
            .collect();
        let undo = Undo::new(move || {
            for (path, text) in back {
                let _ = fs::write(path, text);
            }
        })?;
        for (path, _, value) in &before {
            fs::write(path, value)?;
        }
        let nth = File::options()
            .read(true)
            .write(true)
            .open("/proc/thread-self/fail-nth");
        Ok(Self {
            nth: nth.map_err(|e| lacks(what, e, &[Errno::NOENT]))?,
            _undo: undo,
        })
    }

    /// Runs `f` with its `nth` allocation (or copy from or to the program) failing, counted from 1;
    /// also returns whether there were this many.
    pub fn fail<T>(&self, nth: u32, what: impl FnOnce() -> T) -> Result<(T, bool)> {
        self.nth.write_all_at(nth.to_string().as_bytes(), 0)?;
        let done = what();
        let mut left = [0; 16];
        // Writing the number copies from the program, and may itself fail: then nothing else did.
        let has_failed = match self.nth.read_at(&mut left, 0) {
            Ok(len) => String::from_utf8_lossy(&left[..len]).trim() == "0",
            Err(_) => false,
        };
        // This may fail, too, once.
        let off = || self.nth.write_all_at(b"0", 0);
        off().or_else(|_| off())?;
        Ok((done, has_failed))
    }
}
