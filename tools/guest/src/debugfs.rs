// SPDX-License-Identifier: GPL-2.0

//! The debug kernel's reports of leaks: kmemleak, the owners of pages, and whether lockdep was
//! still active at the end.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use rmmap_procfs::process::meminfo;

const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";
const PAGE_OWNER: &str = "/sys/kernel/debug/page_owner_stacks/show_stacks";

/// kmemleak does not report younger objects (`MSECS_MIN_AGE` of mm/kmemleak.c is 5000).
const MIN_AGE: Duration = Duration::from_millis(5500);

/// The lines of a report that are passed on.
const KEPT: usize = 40;

/// Clears kmemleak's findings so far: leaks at boot are not the module's.
pub fn forget_leaks() -> Result<()> {
    scan()?;
    fs::write(KMEMLEAK, "clear").context("cannot clear kmemleak")
}

/// Scans twice, since a pointer may move during a scan, and returns the unreferenced objects.
pub fn leaks() -> Result<Option<String>> {
    sleep(MIN_AGE);
    scan()?;
    scan()?;
    let report = fs::read_to_string(KMEMLEAK).context("cannot read kmemleak's report")?;
    Ok((!report.trim().is_empty()).then(|| first_lines(&report)))
}

fn scan() -> Result<()> {
    if !Path::new(KMEMLEAK).exists() {
        bail!("{KMEMLEAK} is missing: is debugfs mounted and CONFIG_DEBUG_KMEMLEAK set?");
    }
    // EPERM: kmemleak disabled itself, because its pool of early objects was too small.
    fs::write(KMEMLEAK, "scan").context("kmemleak does not scan: it is disabled")
}

/// Returns the stacks with frames of an unloaded module whose pages are still allocated.
pub fn orphaned_pages() -> Result<Option<String>> {
    let stacks = fs::read_to_string(PAGE_OWNER)
        .with_context(|| format!("{PAGE_OWNER}: is page_owner=on on the command line?"))?;
    if stacks.trim().is_empty() {
        bail!("page_owner lists no pages: it is disabled");
    }
    let orphans = orphans_in(&stacks);
    let pages: u64 = orphans.iter().filter_map(|stack| pages_of(stack)).sum();
    Ok((pages > poisoned_pages()?).then(|| first_lines(&orphans.join("\n\n"))))
}

/// Returns the number of pages that tests of memory failure poisoned: the kernel holds them
/// forever, so that nobody else gets them (`memory_failure()` in mm/memory-failure.c).
fn poisoned_pages() -> Result<u64> {
    let kb = meminfo()?.get("HardwareCorrupted").unwrap_or(0);
    Ok(kb / 4)
}

/// Returns the number of pages that a stack allocated and that are still allocated.
fn pages_of(stack: &str) -> Option<u64> {
    let line = stack.lines().last()?;
    line.strip_prefix("nr_base_pages: ")?.parse().ok()
}

/// Picks the stacks with a frame in a module. No other modules are loaded on the debug kernel, so
/// such a frame is one of ours: with its name while the module is loaded, as a bare address
/// afterwards.
///
/// Pages of a slab are not counted: the allocator keeps them for others after the objects, which
/// kmemleak watches, have been freed. Neither is the store of the stacks themselves, which never
/// shrinks, nor the page table of an address space that KUnit made for a test: `kthread_use_mm()`
/// takes a reference to it that nobody drops when the test's thread exits with it.
fn orphans_in(stacks: &str) -> Vec<&str> {
    let in_module = |frame: &str| frame.starts_with("0x") || frame.ends_with(']');
    let keepers = [
        "allocate_slab+",
        "new_slab+",
        "stack_depot_save",
        "kunit_attach_mm+",
    ];
    stacks
        .split("\n\n")
        .filter(|stack| stack.lines().any(|frame| in_module(frame.trim())))
        .filter(|stack| !keepers.iter().any(|keeper| stack.contains(keeper)))
        .collect()
}

/// Returns whether lockdep was active to the end. Its first report disables it, and so does a full
/// table, which nothing else would reveal.
pub fn lockdep_is_on() -> Result<bool> {
    let stats = fs::read_to_string("/proc/lockdep_stats").context("lockdep is not compiled in")?;
    debug_locks(&stats).context("/proc/lockdep_stats has no debug_locks line")
}

fn debug_locks(stats: &str) -> Option<bool> {
    let line = stats
        .lines()
        .find(|line| line.trim_start().starts_with("debug_locks:"))?;
    Some(line.rsplit(':').next()?.trim() == "1")
}

fn first_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().take(KEPT).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: &str = " post_alloc_hook+0x1/0x2\n __folio_alloc+0x1/0x2\n 0xffffffffa0001234\n \
                         __do_fault+0x1/0x2\nnr_base_pages: 16";
    const SLAB: &str = " post_alloc_hook+0x1/0x2\n allocate_slab+0x1/0x2\n new_slab+0x1\n \
                        0xffffffffa0001234\nnr_base_pages: 1";
    const CORE: &str = " post_alloc_hook+0x1/0x2\n shmem_fault+0x1/0x2\nnr_base_pages: 900";

    #[test]
    fn a_page_of_a_module_that_is_gone_is_found() {
        let stacks = [CORE, FAULT, SLAB].join("\n\n");
        assert_eq!(orphans_in(&stacks), [FAULT]);
        assert_eq!(pages_of(FAULT), Some(16));
        let kunit = FAULT.replace("__folio_alloc", "kunit_attach_mm");
        assert!(orphans_in(&kunit).is_empty());
        let named = FAULT.replace("0xffffffffa0001234", "rmmap_fault+0x1/0x2 [rmmap]");
        assert_eq!(orphans_in(&named), [named.as_str()]);
        assert!(orphans_in(CORE).is_empty());
    }

    #[test]
    fn lockdep_tells_whether_it_is_on() {
        assert_eq!(
            debug_locks(" lock-classes: 12\n debug_locks:   1\n"),
            Some(true)
        );
        assert_eq!(debug_locks(" debug_locks:   0\n"), Some(false));
        assert_eq!(debug_locks(" lock-classes: 12\n"), None);
    }
}
