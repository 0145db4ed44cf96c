// SPDX-License-Identifier: GPL-2.0

//! mmap_region() without memory for another VMA.

use crate::area::{Area, Kind};
use crate::cgroup::{in_cgroup, Cgroup};
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::Errno;
use std::fs::{read_to_string, write};
use std::os::unix::fs::FileExt;

cases! {
    Rmmap no_memory_for_a_vma ["MR-20"] "single pages in a full memory cgroup: ENOMEM long before vm.max_map_count, and the process continues", 120;
}

/// The cgroup's limit.
const LIMIT: usize = 3 << 20;

fn no_memory_for_a_vma(cx: &Context) -> Result {
    let group = Cgroup::new(LIMIT)?;
    let most = read_to_string("/proc/sys/vm/max_map_count")?;
    let most: usize = most.trim().parse().map_err(std::io::Error::other)?;
    let area = Area::new(Kind::Device, 16)?;
    let window = cx.window(most + 1)?;
    let start = window.address();
    let raise = group.limit_file()?;
    let failed = in_cgroup(&group, || {
        // The cgroup's OOM killer must not run.
        write("/proc/self/oom_score_adj", "-1000")?;
        drop(window);
        // Each mapping is of the same page of the device, so none merges with its neighbour.
        let page = area.part(0, 1);
        let first = page.hint(start).flags(MapFlags::FIXED_NOREPLACE);
        let mut all = first.map(&area)?;
        let end = loop {
            let len = all.len();
            match all.fill(len, &page, Some(&area)) {
                Ok(()) if len / P < most => {}
                end => break end,
            }
        };
        // Any other work here allocates memory.
        raise.write_all_at(b"max", 0)?;
        let count = all.pages();
        check_err!(end, Errno::NOMEM, "mapping page {count} in {LIMIT} bytes");
        check!(
            (1000..most / 2).contains(&count),
            "{count} VMAs were made, at most {most} may be"
        );
        all.touch_write(count - 1, 5)?;
        check_eq!(all.touch_read(0)?, 5);
        let maps = crate::view::vma_pages(&all)?;
        check_eq!(maps.len(), count, "VMAs in maps");
        // With memory it works again.
        all.fill(count * P, &page, Some(&area))?;
        check_eq!(all.touch_read(count)?, 5);
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
