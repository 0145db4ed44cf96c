// SPDX-License-Identifier: GPL-2.0

//! The kernel's view of this process and its mappings.

use crate::context::P;
use crate::outcome::{Result, Stop};
use rmmap_procfs::{Map, Process, Smap};
use rmmap_sys::process::faults;
use rmmap_sys::{MapOptions, Mapping};
use std::fs::File;
use std::io::Read;

/// Returns how many pages of a mapping have page table entries (pagemap).
#[track_caller]
pub fn resident(m: &Mapping) -> Result<usize> {
    resident_in(m, 0, m.pages())
}

/// Returns how many pages of a part of a mapping have page table entries (pagemap).
#[track_caller]
pub fn resident_in(m: &Mapping, page: usize, pages: usize) -> Result<usize> {
    Ok(Process::Myself
        .pagemap()?
        .resident(m.address_of(page * P), pages)?)
}

/// Returns which pages of a mapping have page table entries (pagemap).
#[track_caller]
pub fn residency(m: &Mapping) -> Result<Vec<bool>> {
    let pages = Process::Myself.pagemap()?.pages(m.address(), m.pages())?;
    Ok(pages.iter().map(|page| page.is_present()).collect())
}

/// Returns how many pages of a mapping the object holds (mincore).
#[track_caller]
pub fn cached(m: &Mapping) -> Result<usize> {
    Ok(m.mincore(0, m.len())?.iter().filter(|held| **held).count())
}

/// Returns the VMAs within a mapping, except addresses that are only reserved.
#[track_caller]
pub fn vmas(m: &Mapping) -> Result<Vec<Map>> {
    let (start, end) = (m.address(), m.address() + m.len());
    let mut maps = Process::Myself.maps()?;
    let is_reserved = |map: &Map| map.perms == "---p" && map.name.is_none();
    maps.retain(|map| map.range.start < end && start < map.range.end && !is_reserved(map));
    Ok(maps)
}

/// Returns the VMAs of [`vmas`] as page ranges from the mapping's start, for comparison.
#[track_caller]
pub fn vma_pages(m: &Mapping) -> Result<Vec<(usize, usize)>> {
    let page = |address: usize| address.saturating_sub(m.address()) / P;
    Ok(vmas(m)?
        .iter()
        .map(|map| (page(map.range.start), page(map.range.end)))
        .collect())
}

/// Returns the number of VMAs of this process. Allocates nothing, because that might change the
/// number.
#[track_caller]
pub fn vma_count() -> Result<usize> {
    // Every process lists the kernel's vsyscall page last; it is not a VMA of the process.
    const NOBODYS: &[u8] = b"[vsyscall]\n";
    let mut maps = File::open("/proc/self/maps")?;
    let (mut lines, mut buffer) = (0, [0; 8192]);
    loop {
        // The kernel returns whole lines.
        let n = maps.read(&mut buffer)?;
        if n == 0 {
            return Ok(lines);
        }
        lines += buffer[..n].iter().filter(|byte| **byte == b'\n').count();
        lines -= usize::from(buffer[..n].ends_with(NOBODYS));
    }
}

/// Returns smaps of the VMA at the start of a mapping.
#[track_caller]
pub fn smap(m: &Mapping) -> Result<Smap> {
    smap_at(m, 0)
}

/// Returns smaps of the VMA at a page of a mapping.
#[track_caller]
pub fn smap_at(m: &Mapping, page: usize) -> Result<Smap> {
    Ok(Process::Myself.smap_at(m.address_of(page * P))?)
}

/// Checks that the VMA at the start of a mapping has the first VmFlags, and lacks the second.
#[track_caller]
pub fn check_flags(m: &Mapping, has: &[&str], has_not: &[&str]) -> Result {
    let flags = smap(m)?.vm_flags;
    let missing: Vec<_> = has.iter().filter(|flag| !flags.has(flag)).collect();
    let extra: Vec<_> = has_not.iter().filter(|flag| flags.has(flag)).collect();
    if missing.is_empty() && extra.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = flags.iter().collect();
    Err(Stop::fail(format_args!(
        "VmFlags are {all:?}: missing {missing:?}, unexpected {extra:?}"
    )))
}

/// Returns a size of `/proc/self/status`, kB.
#[track_caller]
pub fn status_kb(name: &str) -> Result<u64> {
    let value = Process::Myself.status()?.get(name);
    value.ok_or_else(|| Stop::fail(format_args!("/proc/self/status has no {name}")))
}

/// Returns the locked memory of this process, kB.
#[track_caller]
pub fn locked_kb() -> Result<u64> {
    status_kb("VmLck")
}

/// Returns a number of pages in kilobytes.
pub fn kb(pages: usize) -> u64 {
    (pages * P / 1024) as u64
}

/// Stores to every page of a mapping, and returns the number of faults.
///
/// It touches other memory first, so that the code itself has already faulted, and pages in an
/// order that no predictor follows (37 is a prime, so each page has its turn unless 37 divides
/// their number).
#[track_caller]
pub fn faults_of_stores(m: &Mapping) -> Result<u64> {
    let scratch = MapOptions::new(P).private().map_anonymous()?;
    let mut taken = 0;
    for m in [&scratch, &scratch, m] {
        let before = faults();
        for page in 0..m.pages() {
            m.touch_write(page * 37 % m.pages(), 1)?;
        }
        taken = faults().minor - before.minor;
    }
    Ok(taken)
}
