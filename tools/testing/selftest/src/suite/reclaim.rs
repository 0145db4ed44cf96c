// SPDX-License-Identifier: GPL-2.0

//! A memory cgroup full of reclaimable page cache: a touch waits for reclaim, and succeeds.

use crate::cgroup::{in_cgroup, Cgroup};
use crate::context::{Context, P};
use crate::disk::ext4;
use crate::mounts::Mounts;
use crate::outcome::Result;
use crate::race::race;
use crate::{cases, check, check_eq};
use rmmap_sys::uapi::RMMAP_CREATE_NEVER;
use rmmap_sys::MapOptions;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

cases! {
    Rmmap reclaim_before_sigbus [] "touches in a cgroup that readers keep full of clean page cache: memory is reclaimed, no SIGBUS", 120;
}

/// The cgroup's limit, bytes.
const LIMIT: usize = 16 << 20;

/// Size of the file that the readers read, more than fits into the limit, bytes.
const FILE: usize = 40 << 20;

/// Threads that read it: they use up the memory that another one reclaims.
const READERS: usize = 8;

/// Pages that each of two threads touches repeatedly; together a quarter of the limit.
const PAGES: usize = LIMIT / P / 8;

fn reclaim_before_sigbus(cx: &Context) -> Result {
    let mounts = Mounts::new()?;
    let path = ext4(&mounts, 64)?.join("file");
    std::fs::write(&path, vec![1; FILE])?;
    let file = File::open(&path)?;
    file.sync_all()?;
    // Drop the file from the page cache, so that the reads below charge the cgroup.
    std::fs::write("/proc/sys/vm/drop_caches", "1")?;
    let group = Cgroup::new(LIMIT)?;
    let failed = in_cgroup(&group, || {
        let touched = AtomicUsize::new(0);
        let read = AtomicUsize::new(0);
        let work = |thread: usize, stop: &AtomicBool| -> Result {
            if thread < READERS {
                let mut buffer = vec![0; 64 << 10];
                let mut at = thread * (FILE / READERS);
                while !stop.load(Ordering::Relaxed) {
                    read.fetch_add(file.read_at(&mut buffer, at as u64)?, Ordering::Relaxed);
                    at = (at + buffer.len()) % FILE;
                }
                return Ok(());
            }
            let region = cx
                .device()?
                .create((PAGES * P) as u64, RMMAP_CREATE_NEVER)?;
            let mapping = MapOptions::new(PAGES * P).map(&region)?;
            while !stop.load(Ordering::Relaxed) {
                for page in (0..PAGES).rev() {
                    mapping.touch_write(page, 1)?;
                    touched.fetch_add(1, Ordering::Relaxed);
                }
                region.discard(0, (PAGES * P) as u64)?;
            }
            Ok(())
        };
        // The cgroup was full only if both have happened.
        let met =
            || touched.load(Ordering::Relaxed) > PAGES && read.load(Ordering::Relaxed) > LIMIT;
        let wait = || {
            std::thread::sleep(std::time::Duration::from_millis(1));
            Ok(())
        };
        for _ in 0..cx.rounds(8) {
            race(cx, READERS + 2, work, wait, met)?;
        }
        Ok(())
    })?;
    check_eq!(failed, None);
    check_eq!(group.number("memory.events", "oom_kill")?, 0);
    check!(
        group.number("memory.events", "max")? > 0,
        "the limit was never reached"
    );
    Ok(())
}
