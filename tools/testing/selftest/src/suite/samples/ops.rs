// SPDX-License-Identifier: GPL-2.0

//! rust_mm_ops: the operations that the kernel calls for system calls and accesses of a program,
//! and how often.

use super::sample::{open, with_each_hook};
use crate::context::{needs_large_folios, Context, P, PMD, PMD_ORDER};
use crate::outcome::Result;
use crate::view::{kb, smap, vma_pages};
use crate::{cases, check_eq};
use rmmap_sys::rustix::io::pread;
use rmmap_sys::rustix::mm::{MprotectFlags, MremapFlags};
use rmmap_sys::{Device, MapOptions, Mapping};
use std::os::fd::BorrowedFd;

cases! {
    With("rust_mm_ops") rust_mm_ops_mapped_and_close [] "mmap(2) calls mapped (with mmap_prepare only), munmap(2) calls close";
    With("rust_mm_ops") rust_mm_ops_may_split_and_open [] "munmap(2) of the middle calls may_split twice, open for both new VMAs, close for the unmapped one";
    With("rust_mm_ops") rust_mm_ops_mremap [] "mremap(2) calls open for the new VMA, mremap, close for the old one; of a part, may_split first";
    With("rust_mm_ops") rust_mm_ops_mprotect [] "mprotect is called before mprotect(2) changes anything; may_split after it, for a part";
    With("rust_mm_ops") rust_mm_ops_fault_and_map_pages [] "a load calls map_pages, then fault; a store calls fault alone";
    With("rust_mm_ops") rust_mm_ops_pfn_mkwrite [] "the first store to a mapped frame calls pfn_mkwrite, the next does not";
    With("rust_mm_ops") rust_mm_ops_huge_fault [] "the first touch in each page table's range calls huge_fault first, also where the VMA does not fill them";
    With("rust_mm_ops") rust_mm_ops_pagesize [] "smaps shows the KernelPageSize of four pages";
}

const NAME: &str = "rust_mm_ops";

/// The device, and its counts so far.
#[derive(Debug)]
pub struct Ops {
    fd: Device,
    seen: Vec<(String, i64)>,
    /// Memory next to the mappings that must stay mapped.
    beside: Vec<Mapping>,
}

impl Ops {
    /// Opens the device.
    #[track_caller]
    pub fn new() -> Result<Self> {
        let fd = open(NAME)?;
        let seen = counts(&fd)?;
        let beside = Vec::new();
        Ok(Self { fd, seen, beside })
    }

    /// Returns its descriptor.
    pub fn fd(&self) -> &Device {
        &self.fd
    }

    /// Makes a shared mapping with [`beside_a_page`], without counting its calls.
    #[track_caller]
    pub fn map(&mut self, cx: &Context, pages: usize) -> Result<Mapping> {
        let (m, beside) = beside_a_page(cx, &self.fd, pages)?;
        self.beside.push(beside);
        self.seen = counts(&self.fd)?;
        Ok(m)
    }

    /// Checks that exactly these counts have changed since the last time, in the order of the
    /// device's report.
    #[track_caller]
    pub fn check(&mut self, what: &str, want: &[(&str, i64)]) -> Result {
        let now = counts(&self.fd)?;
        let changes = now.iter().zip(&self.seen);
        let changes: Vec<(&str, i64)> = changes
            .map(|((name, now), (_, before))| (name.as_str(), now - before))
            .filter(|(_, change)| *change != 0)
            .collect();
        check_eq!(changes, want, "the counts for {what}");
        self.seen = now;
        Ok(())
    }
}

/// Returns a shared mapping, and a present page after it: so the page table exists, and the kernel
/// does not call `huge_fault`.
#[track_caller]
pub fn beside_a_page(cx: &Context, fd: &Device, pages: usize) -> Result<(Mapping, Mapping)> {
    let mut window = cx.window(pages + 1)?;
    let page = MapOptions::new(P).private();
    window.map_over(pages * P, &page, None::<BorrowedFd<'_>>)?;
    window.touch_write(pages, 1)?;
    window.map_over(0, &MapOptions::new(pages * P), Some(fd))?;
    // The last page stays mapped, with an owner of its own.
    let m = window.move_part(0..pages * P, pages * P, false)?;
    Ok((m, window))
}

/// Reads all counts.
#[track_caller]
fn counts(fd: &Device) -> Result<Vec<(String, i64)>> {
    let mut report = [0; 1024];
    let n = pread(fd, &mut report, 0)?;
    let text = String::from_utf8_lossy(&report[..n]);
    let count = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    let counts: Option<Vec<_>> = text.lines().map(count).collect();
    counts.ok_or_else(|| crate::outcome::Stop::fail(format_args!("unexpected report: {text}")))
}

fn rust_mm_ops_mapped_and_close(cx: &Context) -> Result {
    with_each_hook(cx, NAME, |_, prepare| {
        let mut ops = Ops::new()?;
        let m = MapOptions::new(4 * P).map(ops.fd())?;
        let mapped: &[_] = if prepare { &[("mapped", 1)] } else { &[] };
        let rest = [("mmap", 1), ("vmas", 1), ("data", 1)];
        ops.check("mmap", &[mapped, &rest].concat())?;
        drop(m);
        ops.check("munmap", &[("close", 1), ("vmas", -1), ("data", -1)])
    })
}

fn rust_mm_ops_may_split_and_open(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let mut m = ops.map(cx, 4)?;
    m.unmap(P, P)?;
    // Three VMAs; the middle one is unmapped.
    let middle = [("open", 2), ("close", 1), ("may_split", 2), ("vmas", 1)];
    ops.check("munmap of the middle", &middle)?;
    check_eq!(vma_pages(&m)?, [(0, 1), (2, 4)]);
    m.unmap(3 * P, P)?;
    ops.check(
        "munmap of the end",
        &[("open", 1), ("close", 1), ("may_split", 1)],
    )?;
    drop(m);
    ops.check("munmap of two", &[("close", 2), ("vmas", -2), ("data", -1)])
}

fn rust_mm_ops_mremap(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let mut m = ops.map(cx, 4)?;
    m.touch_read(1)?;
    ops.check("a load", &[("fault", 1), ("map_pages", 1)])?;
    let mut moved = cx.window(4)?;
    m.move_over(0..4 * P, &mut moved, 0, MremapFlags::empty())?;
    let whole = [("open", 1), ("close", 1), ("mremap", 1)];
    ops.check("mremap of the whole", &whole)?;
    moved.touch_read(1)?;
    ops.check("a load where the page table moved along", &[])?;
    let mut part = cx.window(1)?;
    moved.move_over(P..2 * P, &mut part, 0, MremapFlags::empty())?;
    // prep_move_vma() calls may_split for both ends, and so does the unmapping of the old range.
    let counts = [
        ("open", 3),
        ("close", 1),
        ("may_split", 4),
        ("mremap", 1),
        ("vmas", 2),
    ];
    ops.check("mremap of a part", &counts)?;
    part.touch_read(0)?;
    ops.check("a load of the part", &[])?;
    drop((moved, part));
    ops.check("munmap of all", &[("close", 3), ("vmas", -3), ("data", -1)])
}

fn rust_mm_ops_mprotect(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let m = ops.map(cx, 4)?;
    m.touch_read(2)?;
    ops.check("a load", &[("fault", 1), ("map_pages", 1)])?;
    m.protect(0, 4 * P, MprotectFlags::READ)?;
    ops.check("mprotect of the whole", &[("mprotect", 1)])?;
    m.touch_read(2)?;
    // The sample zaps pages on request.
    ops.check("a load after it", &[("fault", 1), ("map_pages", 1)])?;
    m.protect(P, P, MprotectFlags::READ | MprotectFlags::WRITE)?;
    let part = [("open", 2), ("may_split", 2), ("mprotect", 1), ("vmas", 2)];
    ops.check("mprotect of a part", &part)?;
    m.protect(P, P, MprotectFlags::READ)?;
    ops.check("mprotect back: close forbids merging", &[("mprotect", 1)])?;
    check_eq!(vma_pages(&m)?, [(0, 1), (1, 2), (2, 4)]);
    Ok(())
}

fn rust_mm_ops_fault_and_map_pages(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let m = ops.map(cx, 4)?;
    m.touch_read(0)?;
    ops.check("a load", &[("fault", 1), ("map_pages", 1)])?;
    m.touch_read(0)?;
    ops.check("another load of the page", &[])?;
    m.touch_write(1, 1)?;
    // The fault maps the frame read-only, and the store faults again.
    ops.check("a store", &[("fault", 1), ("pfn_mkwrite", 1)])?;
    check_eq!(m.touch_read(0)?, 1, "every page shows the one page");
    Ok(())
}

fn rust_mm_ops_pfn_mkwrite(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let m = ops.map(cx, 2)?;
    m.touch_read(0)?;
    ops.check("a load", &[("fault", 1), ("map_pages", 1)])?;
    m.touch_write(0, 1)?;
    ops.check("the first store", &[("pfn_mkwrite", 1)])?;
    m.touch_write(0, 2)?;
    ops.check("the second store", &[])?;
    m.touch_write(1, 3)?;
    ops.check("a store elsewhere", &[("fault", 1), ("pfn_mkwrite", 1)])
}

fn rust_mm_ops_huge_fault(cx: &Context) -> Result {
    const PAGES: usize = PMD / P;
    /// The size of a PMD entry: for a whole one, the kernel also calls huge_fault.
    const PUD: usize = PMD << PMD_ORDER;
    needs_large_folios()?;
    let mut ops = Ops::new()?;
    // Two halves, one of which lies within a single PMD. Its last page is present, so the page
    // table exists.
    let half = 4 * PAGES;
    let mut m = cx.window(2 * half)?;
    let is_within = |first: usize| {
        let (first, last) = (
            m.address_of(first * P),
            m.address_of((first + half) * P) - 1,
        );
        first / PUD == last / PUD
    };
    let at = if is_within(0) { 0 } else { half };
    let page = MapOptions::new(P).private();
    m.map_over((at + half - 1) * P, &page, None::<BorrowedFd<'_>>)?;
    m.touch_write(at + half - 1, 1)?;
    m.map_over(at * P, &MapOptions::new(2 * PMD + P), Some(ops.fd()))?;
    let one = [("mapped", 1), ("mmap", 1), ("vmas", 1), ("data", 1)];
    ops.check("mmap", &one)?;

    m.touch_read(at + 5)?;
    let first = [("fault", 1), ("huge_fault", 1), ("map_pages", 1)];
    ops.check("the first load in a page table's range", &first)?;
    m.touch_read(at + 7)?;
    // Now a page table exists.
    ops.check("the next in them", &[("fault", 1), ("map_pages", 1)])?;
    m.touch_write(at + PAGES + 5, 1)?;
    let store = [("fault", 1), ("huge_fault", 1), ("pfn_mkwrite", 1)];
    ops.check("a store in the next range", &store)?;
    // "Huge fault does the check in fault handlers" (__thp_vma_allowable_orders()).
    m.touch_read(at + 2 * PAGES)?;
    ops.check("a load in a range that the VMA does not fill", &first)
}

fn rust_mm_ops_pagesize(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let m = ops.map(cx, 4)?;
    check_eq!(smap(&m)?.kb("KernelPageSize"), kb(4));
    let anonymous = MapOptions::new(4 * P).private().map_anonymous()?;
    check_eq!(smap(&anonymous)?.kb("KernelPageSize"), kb(1));
    Ok(())
}
