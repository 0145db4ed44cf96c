// SPDX-License-Identifier: GPL-2.0

//! Operations that two actors do at the same time: those that do not depend on each other, so that
//! their outcomes are the same in any order.
//!
//! They share what the kernel locks: a file's page cache, its folios, its size, the quota.

use crate::differences;
use crate::model::{Model, Slot};
use crate::op::{Call, Fd, Op, KEEP_SIZE, PUNCH_HOLE, RW};
use rmmap_sys::PAGE_SIZE;
use std::ops::Range;

/// Pages of files: file and pages.
type Footprint = Vec<(usize, Range<usize>)>;

/// Whether two operations of different actors may be done at the same time.
pub fn independent(model: &Model, one: &Op, other: &Op) -> bool {
    let (Some(one_pages), Some(other_pages)) = (footprint(model, one), footprint(model, other))
    else {
        return false;
    };
    let apart =
        |one: &Range<usize>, other: &Range<usize>| one.end <= other.start || other.end <= one.start;
    one.actor != other.actor
        && one_pages.iter().all(|(file, pages)| {
            let mut others = other_pages.iter();
            others.all(|(other, range)| file != other || apart(pages, range))
        })
}

/// The pages that an operation reads or changes, if that is all that it does.
fn footprint(model: &Model, op: &Op) -> Option<Footprint> {
    const HOLE: u32 = KEEP_SIZE | PUNCH_HOLE;
    if differences::of(model, op).is_some() {
        return None;
    }
    match &op.call {
        Call::Load { at, n, stride } => touched(model, op.actor, *at, *n, *stride, 1 | 2),
        Call::Store { at, n, stride, .. } => touched(model, op.actor, *at, *n, *stride, 2),
        Call::Read { fd, off, lens } | Call::Write { fd, off, lens, .. } => {
            in_file(model, *fd, (*off)?, lens.iter().sum::<usize>() as u64)
        }
        Call::Discard { fd, off, len } => in_file(model, *fd, *off, *len),
        Call::Fallocate {
            fd,
            mode: KEEP_SIZE | HOLE,
            off,
            len,
        } => in_file(model, *fd, *off, *len),
        _ => None,
    }
}

/// The pages of accesses to shared mappings, if none of them faults.
fn touched(
    model: &Model,
    actor: usize,
    at: usize,
    n: usize,
    stride: usize,
    prot: i32,
) -> Option<Footprint> {
    let page = |i: usize| match model.slot(actor, (at + i * stride) / PAGE_SIZE) {
        Slot::File(mapped)
            if mapped.shared
                && mapped.prot & prot != 0
                && mapped.page < model.files[mapped.file].size_pages() =>
        {
            Some((mapped.file, mapped.page..mapped.page + 1))
        }
        _ => None,
    };
    let mut pages = (0..n).map(page).collect::<Option<Footprint>>()?;
    pages.dedup();
    Some(pages)
}

/// The pages of a range of bytes before EOF.
fn in_file(model: &Model, fd: Fd, off: u64, len: u64) -> Option<Footprint> {
    let end = off.checked_add(len)?;
    let within = len > 0 && end <= model.files[fd.file].size && fd.desc == RW;
    let pages = off as usize / PAGE_SIZE..(end as usize).div_ceil(PAGE_SIZE);
    within.then(|| vec![(fd.file, pages)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{File, Kind, Memory};

    #[test]
    fn operations_on_the_same_page_depend_on_each_other() {
        let memory = || {
            Some(Memory {
                slots: vec![Slot::Free; 8],
                locks: false,
            })
        };
        let model = Model {
            files: vec![File::new(Kind::Region, 3 << 12)],
            actors: vec![memory(), memory()],
            only_memfds: false,
            position: None,
        };
        let fd = Fd { file: 0, desc: RW };
        let read = |actor: usize, off: u64, len: usize| {
            let (off, lens) = (Some(off), vec![len]);
            Op::new(actor, Call::Read { fd, off, lens })
        };
        let one = read(0, 100, 4000);
        assert!(independent(&model, &one, &read(1, 8192, 4096)));
        assert!(!independent(&model, &one, &read(1, 4100, 1)));
        assert!(!independent(&model, &one, &read(0, 8192, 4096)));
        assert!(!independent(&model, &one, &read(1, 8192, 4097)));
    }
}
