// SPDX-License-Identifier: GPL-2.0

//! Checks that the module freed its memory, by three counters of the page cache before the first
//! load and after each unload.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use rmmap_procfs::{Fields, Process};

/// The number of pages by which `Cached` and `nr_file_pages` may differ.
///
/// They also count the text of programs. The kernel drops clean pages before each sample, but not
/// those that a running program maps, and the guest's few programs map more of theirs while the
/// tests run. So these counters miss a leak of fewer than this many pages in a whole boot.
/// `Unevictable` misses none: it counts the module's pages from the start, and no pages of
/// programs.
const TEXT_PAGES: u64 = 128;

/// Maps all of this program, so that pages of its text that it maps during the tests do not look
/// like a leak.
pub fn map_program() -> Result<()> {
    let program = std::env::current_exe()?;
    let memory = File::open("/proc/self/mem")?;
    let mut buffer = vec![0; 64 << 10];
    for map in Process::Myself.maps()? {
        let is_program = map.name.as_deref() == program.to_str();
        if !is_program || !map.perms.starts_with('r') {
            continue;
        }
        // The kernel reads it through this program's page tables.
        for at in map.range.clone().step_by(buffer.len()) {
            let len = buffer.len().min(map.range.end - at);
            memory.read_exact_at(&mut buffer[..len], at as u64)?;
        }
    }
    Ok(())
}

/// The number of retries: pages that wait for RCU or a deferred `fput()` are freed late.
const TRIES: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(300);

const PAGE_KB: u64 = 4;

/// The counters at one moment, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    cached: u64,
    unevictable: u64,
    file_pages: u64,
}

impl Snapshot {
    /// Drops the caches, makes the counters exact, and reads them.
    pub fn take() -> Result<Self> {
        rustix::fs::sync();
        // It also drains the per-CPU batches of folios for the LRU lists.
        fs::write("/proc/sys/vm/drop_caches", "3").context("cannot drop the caches")?;
        // The counters lag by up to 125 pages per CPU; reading this file folds the rest in.
        fs::read("/proc/sys/vm/stat_refresh").context("cannot refresh the counters")?;
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let vmstat = fs::read_to_string("/proc/vmstat")?;
        Self::parse(&meminfo, &vmstat).context("a counter is missing in /proc/meminfo or vmstat")
    }

    fn parse(meminfo: &str, vmstat: &str) -> Option<Self> {
        let (meminfo, vmstat) = (Fields::parse(meminfo), Fields::parse(vmstat));
        Some(Self {
            cached: meminfo.get("Cached")? / PAGE_KB,
            unevictable: meminfo.get("Unevictable")? / PAGE_KB,
            file_pages: vmstat.get("nr_file_pages")?,
        })
    }

    /// Returns the memory that was not freed since `self`, in words; `None` if all was.
    pub fn missing(&self, now: &Self) -> Option<String> {
        let counters = [
            ("Cached", self.cached, now.cached, TEXT_PAGES),
            ("Unevictable", self.unevictable, now.unevictable, 0),
            ("nr_file_pages", self.file_pages, now.file_pages, TEXT_PAGES),
        ];
        let grown: Vec<String> = counters
            .iter()
            .filter(|(_, before, after, slack)| *after > before + slack)
            .map(|(name, before, after, _)| {
                format!(
                    "{name} grew by {} pages ({before} to {after})",
                    after - before
                )
            })
            .collect();
        (!grown.is_empty()).then(|| grown.join("; "))
    }

    /// Samples until everything is freed, for three seconds at most.
    pub fn wait_until_back(&self) -> Result<Option<String>> {
        let mut missing = self.missing(&Self::take()?);
        for _ in 1..TRIES {
            if missing.is_none() {
                break;
            }
            sleep(BETWEEN);
            missing = self.missing(&Self::take()?);
        }
        Ok(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cached: u64, unevictable: u64, file_pages: u64) -> Snapshot {
        Snapshot {
            cached,
            unevictable,
            file_pages,
        }
    }

    #[test]
    fn counters_are_read_in_pages() {
        let meminfo = "MemTotal: 2000000 kB\nCached:  4096 kB\nUnevictable:  16 kB\n";
        let snapshot = Snapshot::parse(meminfo, "nr_free_pages 1\nnr_file_pages 1030\n");
        assert_eq!(snapshot, Some(at(1024, 4, 1030)));
        assert_eq!(Snapshot::parse(meminfo, ""), None);
    }

    #[test]
    fn program_text_is_tolerated_and_the_modules_pages_are_not() {
        let before = at(1000, 4, 1000);
        assert_eq!(
            before.missing(&at(1000 + TEXT_PAGES, 4, 1000 + TEXT_PAGES)),
            None
        );
        assert_eq!(before.missing(&at(10, 0, 10)), None);
        let leak = before.missing(&at(1000, 5, 1000));
        assert_eq!(
            leak.as_deref(),
            Some("Unevictable grew by 1 pages (4 to 5)")
        );
        assert!(before
            .missing(&at(1001 + TEXT_PAGES, 4, 1001 + TEXT_PAGES))
            .is_some());
    }
}
