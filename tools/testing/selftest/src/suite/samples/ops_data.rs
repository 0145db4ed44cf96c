// SPDX-License-Identifier: GPL-2.0

//! rust_mm_ops: the data of a VMA (`VmOperations::Private`), counted across fork(2), splits and
//! mremap(2), and freed with the last VMA that uses it.

use super::ops::{beside_a_page, Ops};
use super::sample::with_each_hook;
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::vma_pages;
use crate::{cases, check_eq};
use rmmap_sys::rustix::mm::{MprotectFlags, MremapFlags};
use rmmap_sys::rustix::process::Signal;
use rmmap_sys::{fork, End, MapOptions};

cases! {
    With("rust_mm_ops") rust_mm_ops_data_is_shared_by_fork [] "fork(2) opens a VMA for the child with the same data, and its exit closes it, with either hook";
    With("rust_mm_ops") rust_mm_ops_data_outlives_the_parent [] "data stays while a child has it, although the parent has unmapped its own";
    With("rust_mm_ops") rust_mm_ops_data_is_freed_by_a_killed_process [] "a child that is killed with split VMAs leaves nothing";
    With("rust_mm_ops") rust_mm_ops_data_is_of_each_mmap [] "two mappings in a row stay two, each with data of its own";
    With("rust_mm_ops") rust_mm_ops_data_moves_and_splits [] "pieces made by munmap, mprotect, mremap and MAP_FIXED share the data, which is freed with the last";
}

const NAME: &str = "rust_mm_ops";

fn rust_mm_ops_data_is_shared_by_fork(cx: &Context) -> Result {
    with_each_hook(cx, NAME, |cx, _| {
        let mut ops = Ops::new()?;
        let m = ops.map(cx, 4)?;
        m.touch_write(0, 1)?;
        ops.check("a store", &[("fault", 1), ("pfn_mkwrite", 1)])?;
        let mut child = fork(|channel| {
            let waited = channel.receive();
            // fork(2) copied the page table; whether the kernel calls pfn_mkwrite again is not
            // specified.
            i32::from(waited.is_err() || m.touch_read(0) != Ok(1))
        })?;
        ops.check("fork", &[("open", 1), ("vmas", 1)])?;
        child.channel().send(&[])?;
        check_eq!(child.wait()?, End::Exited(0));
        ops.check("the child's exit", &[("close", 1), ("vmas", -1)])?;
        drop(m);
        ops.check("munmap", &[("close", 1), ("vmas", -1), ("data", -1)])
    })
}

fn rust_mm_ops_data_outlives_the_parent(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let m = ops.map(cx, 4)?;
    let mut child = fork(|channel| {
        let waited = channel.receive();
        i32::from(waited.is_err() || m.touch_write(1, 7).is_err())
    })?;
    ops.check("fork", &[("open", 1), ("vmas", 1)])?;
    drop(m);
    ops.check("munmap of the parent's", &[("close", 1), ("vmas", -1)])?;
    child.channel().send(&[])?;
    check_eq!(child.wait()?, End::Exited(0));
    let rest = [
        ("close", 1),
        ("fault", 1),
        ("pfn_mkwrite", 1),
        ("vmas", -1),
        ("data", -1),
    ];
    ops.check("a store of the child and its exit", &rest)
}

fn rust_mm_ops_data_is_freed_by_a_killed_process(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let mut child = fork(|channel| {
        let pieces = || -> Result {
            let (mut m, _page) = beside_a_page(cx, ops.fd(), 8)?;
            m.touch_write(0, 1)?;
            m.unmap(2 * P, P)?;
            let mut moved = cx.window(1)?;
            m.move_over(4 * P..5 * P, &mut moved, 0, MremapFlags::empty())?;
            channel.send(&[])?;
            loop {
                std::thread::park();
            }
        };
        i32::from(pieces().is_err())
    })?;
    child.channel().receive()?;
    child.signal(Signal::KILL)?;
    check_eq!(child.wait()?, End::Killed(Signal::KILL.as_raw()));
    // Except vmas and data: both are as before. 4 VMAs were left, and 2 were unmapped earlier.
    let counts = [
        ("open", 5),
        ("close", 6),
        ("mapped", 1),
        ("may_split", 6),
        ("mremap", 1),
        ("fault", 1),
        ("pfn_mkwrite", 1),
        ("mmap", 1),
    ];
    ops.check("a killed child", &counts)
}

fn rust_mm_ops_data_is_of_each_mmap(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let mut m = cx.window(8)?;
    m.map_over(0, &MapOptions::new(2 * P), Some(ops.fd()))?;
    let next = MapOptions::new(2 * P).offset(2 * P as u64);
    m.map_over(2 * P, &next, Some(ops.fd()))?;
    let two = [("mapped", 2), ("mmap", 2), ("vmas", 2), ("data", 2)];
    ops.check("two mappings in a row", &two)?;
    check_eq!(vma_pages(&m)?, [(0, 2), (2, 4)]);
    // A mapping of one page replaces all of the first.
    m.map_over(0, &MapOptions::new(2 * P), Some(ops.fd()))?;
    let over = [("close", 1), ("mapped", 1), ("mmap", 1)];
    ops.check("MAP_FIXED over the first", &over)?;
    drop(m);
    ops.check("munmap", &[("close", 2), ("vmas", -2), ("data", -2)])
}

fn rust_mm_ops_data_moves_and_splits(cx: &Context) -> Result {
    let mut ops = Ops::new()?;
    let mut m = ops.map(cx, 16)?;
    m.unmap(2 * P, P)?;
    m.protect(5 * P, P, MprotectFlags::READ)?;
    let mut moved = cx.window(1)?;
    m.move_over(8 * P..9 * P, &mut moved, 0, MremapFlags::empty())?;
    let anonymous = MapOptions::new(P).private();
    m.map_over(12 * P, &anonymous, None::<std::os::fd::BorrowedFd<'_>>)?;
    let pieces = [(0, 2), (3, 5), (5, 6), (6, 8), (9, 12), (12, 13), (13, 16)];
    check_eq!(vma_pages(&m)?, pieces, "VMAs, one of them anonymous");
    // Six here, and the moved one.
    let counts = [
        ("open", 9),
        ("close", 3),
        ("may_split", 10),
        ("mremap", 1),
        ("mprotect", 1),
        ("vmas", 6),
    ];
    ops.check("the pieces", &counts)?;
    drop(m);
    ops.check("munmap of six", &[("close", 6), ("vmas", -6)])?;
    moved.touch_read(0)?;
    drop(moved);
    let last = [
        ("close", 1),
        ("fault", 1),
        ("map_pages", 1),
        ("vmas", -1),
        ("data", -1),
    ];
    ops.check("the last piece", &last)
}
