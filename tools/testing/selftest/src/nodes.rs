// SPDX-License-Identifier: GPL-2.0

//! A second NUMA node. The lab's guests have one with offline memory, so that no other test
//! allocates from it.

use crate::outcome::{both, cannot, Result, Stop};
use crate::sysctl::Sysctl;
use crate::undo::Undo;
use std::fs;
use std::path::{Path, PathBuf};

const NODES: &str = "/sys/devices/system/node";

/// Runs a test with two nodes that have memory. If only one has memory, sets the memory of another
/// online for the test, as movable memory: kernel memory in it would prevent setting it offline
/// afterwards.
pub fn with_two_nodes(test: impl FnOnce([u32; 2]) -> Result) -> Result {
    if let [first, second, ..] = with_memory()?[..] {
        return test([first, second]);
    }
    let blocks = offline_blocks()?;
    if blocks.is_empty() {
        return Err(Stop::skip("there is one NUMA node with memory"));
    }
    // The kernel calculates it anew when memory goes online or offline
    // (`init_per_zone_wmark_min()` in mm/page_alloc.c).
    let _reserve = Sysctl::keep("vm/min_free_kbytes")?;
    let undo = blocks.clone();
    let _undo = Undo::new(move || {
        // A failure shows below, unless the test was killed.
        let _ = undo.iter().try_for_each(|block| set(block, "offline"));
    })?;
    for block in &blocks {
        set(block, "online_movable").map_err(|e| cannot(format_args!("set {block:?}"), e))?;
    }
    let result = match with_memory()?[..] {
        [first, second] => test([first, second]),
        ref other => Err(Stop::fail(format_args!("nodes with memory: {other:?}"))),
    };
    let offline = |block: &PathBuf| set(block, "offline");
    both(
        result,
        blocks.iter().try_for_each(offline).map_err(Stop::from),
    )
}

/// Sets a block of memory online or offline.
fn set(block: &Path, state: &str) -> std::io::Result<()> {
    fs::write(block.join("state"), state)
}

/// Returns the nodes of a list such as `0-1,3`.
fn with_memory() -> Result<Vec<u32>> {
    let list = fs::read_to_string(Path::new(NODES).join("has_memory"))?;
    nodes(&list).ok_or_else(|| Stop::fail(format_args!("a list of nodes: {list}")))
}

fn nodes(list: &str) -> Option<Vec<u32>> {
    let mut nodes = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        nodes.extend(first..=last);
    }
    Some(nodes)
}

/// Returns the offline memory blocks: none on a kernel without MEMORY_HOTPLUG.
fn offline_blocks() -> Result<Vec<PathBuf>> {
    let mut blocks = Vec::new();
    let folder = Path::new("/sys/devices/system/memory");
    if !folder.try_exists()? {
        return Ok(blocks);
    }
    for entry in fs::read_dir(folder)? {
        let block = entry?.path();
        let state = fs::read_to_string(block.join("state"));
        if state.is_ok_and(|state| state.trim() == "offline") {
            blocks.push(block);
        }
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_nodes_are_read() {
        assert_eq!(nodes("0\n"), Some(vec![0]));
        assert_eq!(nodes("0-2,5\n"), Some(vec![0, 1, 2, 5]));
        assert_eq!(nodes(""), None);
    }
}
