// SPDX-License-Identifier: GPL-2.0

//! The memory that the system uses.

use anyhow::{Context, Result};
use rmmap_procfs::process::meminfo;

/// The fields of `/proc/meminfo` that are counted: files (shared memory, too), anonymous memory and
/// page tables. Free memory is unsuitable: it leaves out pages on the per-CPU lists.
const COUNTED: &[&str] = &["Cached", "AnonPages", "PageTables"];

/// Returns the memory that is used for mappings and files, bytes.
pub fn used() -> Result<u64> {
    // Each processor has a part of the counters. Only root may have the kernel fold them; ignore
    // errors.
    let _ = std::fs::write("/proc/sys/vm/stat_refresh", "1");
    let fields = meminfo()?;
    let get = |name: &str| {
        let kib = fields.get(name);
        kib.with_context(|| format!("/proc/meminfo has no {name}"))
    };
    let mut kib = 0;
    for name in COUNTED {
        kib += get(name)?;
    }
    // A kernel without huge pages has none of these.
    if let (Some(total), Some(free), Some(size)) = (
        fields.get("HugePages_Total"),
        fields.get("HugePages_Free"),
        fields.get("Hugepagesize"),
    ) {
        kib += (total - free) * size;
    }
    Ok(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmmap_sys::{MapOptions, Walk, PAGE_SIZE};

    #[test]
    fn memory_that_is_touched_is_used() {
        const PAGES: usize = 16384;
        let before = used().unwrap();
        let mapping = MapOptions::new(PAGES * PAGE_SIZE)
            .private()
            .map_anonymous()
            .unwrap();
        mapping.walk_write(&Walk::new((0..PAGES as u32).collect()));
        // Other processes use and free memory meanwhile.
        assert!(used().unwrap() > before + (PAGES * PAGE_SIZE / 2) as u64);
    }
}
