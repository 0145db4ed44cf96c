// SPDX-License-Identifier: GPL-2.0

//! Pairs of operations on many pages: they take long enough to meet where pages of a file are added
//! and removed.

use super::Generator;
use crate::model::Slot;
use crate::op::{Call, Fd, Op, KEEP_SIZE, PUNCH_HOLE, RW};
use crate::pair;
use rmmap_sys::PAGE_SIZE;
use std::ops::Range;

const SIZE: u64 = PAGE_SIZE as u64;
/// The fewest pages of each operation.
const FEWEST: usize = 4;
/// The most bytes of a write.
const WRITE: usize = 128 * PAGE_SIZE;

/// Pages of an arena that show consecutive pages of a file, shared and writable.
#[derive(Clone, Debug, Default)]
struct Run {
    /// The first page of the arena.
    page: usize,
    /// The file.
    file: usize,
    /// The file's pages.
    pages: Range<usize>,
}

impl Generator<'_> {
    /// Two operations on many pages of one file, if it is mapped so.
    pub(super) fn wide(&mut self) -> Option<Op> {
        let run = self.longest_run();
        let whole = (self.model.files[run.file].size / SIZE) as usize;
        let mut one = run.pages.clone();
        let (before, after) = (0..one.start, one.end..whole.max(one.end));
        let mut other = match before.len() > after.len() {
            true => before,
            false => after,
        };
        if other.len() < one.len() / 2 {
            let middle = one.start + one.len() / 2;
            (one, other) = (one.start..middle, middle..one.end);
        }
        if one.len() < FEWEST || other.len() < FEWEST {
            return None;
        }
        let fd = Fd {
            file: run.file,
            desc: RW,
        };
        let (at, n, stride) = (run.page * PAGE_SIZE, one.len(), PAGE_SIZE);
        let value = self.random.u64(..);
        let call = match self.random.u32(0..4) {
            0 => self.filling(fd, &one),
            1 => Call::Load { at, n, stride },
            _ => Call::Store {
                at,
                n,
                stride,
                value,
            },
        };
        let mut op = Op::new(self.actor, call);
        self.actor = self.other();
        let call = match self.one_in(3) {
            true => self.filling(fd, &other),
            false => self.emptying(fd, &other),
        };
        let with = Op::new(self.actor, call);
        if !pair::independent(self.model, &op, &with) {
            return None;
        }
        op.with = Some(Box::new(with));
        Some(op)
    }

    /// What adds pages to a file.
    fn filling(&mut self, fd: Fd, pages: &Range<usize>) -> Call {
        let (off, len) = bytes(pages);
        match self.one_in(3) {
            true => Call::Fallocate {
                fd,
                mode: KEEP_SIZE,
                off,
                len,
            },
            false => Call::Write {
                fd,
                off: Some(off),
                lens: vec![(len as usize).min(WRITE)],
                seed: self.random.u64(..),
            },
        }
    }

    /// What removes pages from a file.
    fn emptying(&mut self, fd: Fd, pages: &Range<usize>) -> Call {
        let (off, len) = bytes(pages);
        match self.one_in(3) {
            true => Call::Fallocate {
                fd,
                mode: KEEP_SIZE | PUNCH_HOLE,
                off,
                len,
            },
            false => Call::Discard { fd, off, len },
        }
    }

    /// The actor's longest run of pages that it can store to.
    fn longest_run(&self) -> Run {
        let (mut longest, mut run) = (Run::default(), Run::default());
        for page in 0..self.pages {
            let Slot::File(mapped) = self.model.slot(self.actor, page) else {
                continue;
            };
            let file = &self.model.files[mapped.file];
            if !mapped.shared || mapped.prot & 2 == 0 || mapped.page >= file.size_pages() {
                continue;
            }
            let follows = mapped.file == run.file
                && mapped.page == run.pages.end
                && page == run.page + run.pages.len();
            if !follows {
                run = Run {
                    page,
                    file: mapped.file,
                    pages: mapped.page..mapped.page,
                };
            }
            run.pages.end += 1;
            if run.pages.len() > longest.pages.len() {
                longest = run.clone();
            }
        }
        longest
    }
}

/// The bytes of pages: the first, and their number.
fn bytes(pages: &Range<usize>) -> (u64, u64) {
    (pages.start as u64 * SIZE, pages.len() as u64 * SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Edges;
    use crate::model::{File, Kind, Mapped, Memory, Model};

    #[test]
    fn a_pair_shares_the_pages_of_a_mapping() {
        let slot = |page: usize| {
            Slot::File(Mapped {
                file: 0,
                page,
                shared: true,
                prot: 3,
                copy: None,
                vague: false,
                no_fork: false,
            })
        };
        let memory = |slots: Vec<Slot>| {
            Some(Memory {
                slots,
                locks: false,
            })
        };
        let mut model = Model {
            files: vec![File::new(Kind::Region, 64 * SIZE)],
            actors: vec![
                memory((0..64).map(slot).collect()),
                memory(vec![Slot::Free; 64]),
            ],
            only_memfds: false,
            position: None,
        };
        let mut random = fastrand::Rng::with_seed(1);
        let edges = Edges::default();
        let mut wide = |model: &Model| {
            let (random, edges) = (&mut random, &edges);
            let (pages, actor) = (64, 0);
            let mut generator = Generator {
                random,
                model,
                edges,
                pages,
                actor,
            };
            generator.wide()
        };
        let pairs: Vec<Op> = (0..50).filter_map(|_| wide(&model)).collect();
        assert!(pairs.len() > 10);
        for op in pairs {
            let with = op.with.as_ref().expect("it is a pair");
            assert!(pair::independent(&model, &op, with), "{op:?}");
        }
        model.files[0].resize(3 * SIZE);
        assert_eq!(wide(&model), None);
    }
}
