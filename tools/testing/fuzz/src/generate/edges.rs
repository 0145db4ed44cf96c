// SPDX-License-Identifier: GPL-2.0

//! Where operations go: mostly to edges, which is where mistakes are.
//!
//! Edges are EOF, the bounds of folios, and where recent operations began and ended: a hole, a
//! truncation, an earlier EOF.

use super::Generator;
use crate::model::{Model, Slot};
use crate::op::{Call, Op};
use rmmap_sys::PAGE_SIZE;
use std::collections::VecDeque;

const SIZE: u64 = PAGE_SIZE as u64;
/// Pages that the core maps around a fault, and after which a stream begins: 64 KiB.
const WINDOW: u64 = 16;
/// Pages of a huge page.
const HUGE: u64 = 512;
/// How many edges are remembered.
const MEMORY: usize = 16;

/// Edges that operations made: file and byte, the newest last.
#[derive(Debug, Default)]
pub struct Edges(VecDeque<(usize, u64)>);

impl Edges {
    /// Remembers where an operation begins and ends.
    pub fn note(&mut self, model: &Model, op: &Op) {
        let (file, off, len) = match &op.call {
            Call::Map {
                fd, pgoff, pages, ..
            } => (fd.file, *pgoff as u64 * SIZE, *pages as u64 * SIZE),
            Call::Write {
                fd,
                off: Some(off),
                lens,
                ..
            } => (fd.file, *off, lens.iter().sum::<usize>() as u64),
            Call::WriteFrom { fd, off, len, .. } | Call::SpliceIn { fd, off, len, .. } => {
                (fd.file, *off, *len as u64)
            }
            Call::Truncate { fd, size } => {
                let before = model.files[fd.file].size;
                (fd.file, *size, before.saturating_sub(*size))
            }
            Call::Fallocate { fd, off, len, .. }
            | Call::Discard { fd, off, len }
            | Call::Allocate { fd, off, len } => (fd.file, *off, *len),
            Call::CopyRange {
                to, to_off, len, ..
            } => (to.file, *to_off, *len as u64),
            Call::Store { at, .. } | Call::Hold { at, .. } => {
                match model.slot(op.actor, at / PAGE_SIZE) {
                    Slot::File(mapped) => {
                        let page = mapped.page as u64 * SIZE;
                        (mapped.file, page + (at % PAGE_SIZE) as u64, 0)
                    }
                    _ => return,
                }
            }
            _ => return,
        };
        for byte in [off, off.saturating_add(len)] {
            if self.0.len() == MEMORY {
                self.0.pop_front();
            }
            self.0.push_back((file, byte));
        }
    }

    /// A byte of a file, the newer the more often.
    fn of(&self, random: &mut fastrand::Rng, file: usize) -> Option<u64> {
        let own: Vec<u64> = self.0.iter().filter(|e| e.0 == file).map(|e| e.1).collect();
        let most = own.len();
        let at = (most > 0).then(|| random.usize(..most).max(random.usize(..most)))?;
        own.get(at).copied()
    }
}

impl Generator<'_> {
    /// An edge of a file, bytes.
    fn edge(&mut self, file: usize) -> u64 {
        let size = self.model.files[file].size;
        let bound = |g: &mut Self, pages: u64| {
            let n = (g.pages as u64 / pages).max(1);
            g.random.u64(0..=n) * pages * SIZE
        };
        match self.random.u32(0..8) {
            0..=3 => size,
            4..=6 => self.edges.of(self.random, file).unwrap_or(size),
            _ if self.pages as u64 > HUGE && self.one_in(2) => bound(self, HUGE),
            _ => bound(self, WINDOW),
        }
    }

    /// A byte of a file: mostly an edge or beside one.
    pub(super) fn offset(&mut self, file: usize) -> u64 {
        let size = self.model.files[file].size;
        let most = (self.pages * PAGE_SIZE) as u64;
        let near = match self.random.u32(0..8) {
            0 => self.random.u64(..most),
            1 | 2 => self.random.u64(..=size.min(most)),
            _ => self.edge(file),
        };
        let beside = match self.random.u32(0..12) {
            0..=2 => near / SIZE * SIZE,
            3 => near.next_multiple_of(SIZE),
            4 => near / SIZE * SIZE + SIZE,
            5 => (near / SIZE * SIZE).saturating_sub(SIZE),
            6 => near + self.random.u64(1..16),
            7 | 8 => near.saturating_sub(self.random.u64(1..16)),
            _ => near,
        };
        // Files do not grow without end.
        beside.min(most.max(size) + SIZE)
    }

    /// A number of bytes from `off` on that ends within the arena's length: often at an edge.
    pub(super) fn bytes(&mut self, file: usize, off: u64, most: usize) -> usize {
        let room = ((self.pages * PAGE_SIZE) as u64).saturating_sub(off) as usize;
        let most = most.min(room);
        if self.one_in(3) {
            let end = self.offset(file);
            match usize::try_from(end.saturating_sub(off)) {
                Ok(len) if len > 0 && len <= most => return len,
                _ => {}
            }
        }
        match self.random.u32(0..8) {
            0 => self.random.usize(0..=most.min(16)),
            1..=3 => self.few((most / PAGE_SIZE).max(1)).min(most / PAGE_SIZE) * PAGE_SIZE,
            4..=6 => self.random.usize(0..=most.min(3 * PAGE_SIZE)),
            _ => self.random.usize(0..=most),
        }
    }

    /// A page of the arena for which `wanted` says yes, searched from anywhere.
    pub(super) fn find(&mut self, wanted: impl Fn(&Model, usize) -> bool) -> Option<usize> {
        let first = self.random.usize(..self.pages);
        let mut pages = (first..self.pages).chain(0..first);
        pages.find(|page| wanted(self.model, *page))
    }

    /// A byte of the arena at which an edge of a file is mapped, if one is.
    fn mapped_edge(&mut self) -> Option<usize> {
        let file = self.random.usize(..self.model.files.len());
        let off = self.offset(file);
        let (actor, index) = (self.actor, (off / SIZE) as usize);
        let page = self.find(|model, page| match model.slot(actor, page) {
            Slot::File(mapped) => mapped.file == file && mapped.page == index,
            _ => false,
        })?;
        Some(page * PAGE_SIZE + (off % SIZE) as usize)
    }

    /// A byte of the arena at which the last page of a file is mapped, or the page after it.
    fn mapped_eof(&mut self) -> Option<usize> {
        let file = self.random.usize(..self.model.files.len());
        let of = &self.model.files[file];
        let index = match self.random.bool() {
            true => of.size_pages(),
            false => of.size_pages().saturating_sub(1),
        };
        let within = of.size % SIZE;
        let actor = self.actor;
        let page = self.find(|model, page| match model.slot(actor, page) {
            Slot::File(mapped) => mapped.file == file && mapped.page == index,
            _ => false,
        })?;
        Some(page * PAGE_SIZE + within as usize)
    }

    /// A page of the arena at which nothing is mapped.
    pub(super) fn gap(&mut self) -> Option<usize> {
        let actor = self.actor;
        self.find(|model, page| matches!(model.slot(actor, page), Slot::Free))
    }

    /// A page beside a mapping: its last one, or the gap after it.
    fn end_of_mapping(&mut self) -> Option<usize> {
        let (actor, last) = (self.actor, self.random.bool());
        let is_free = |model: &Model, page: usize| matches!(model.slot(actor, page), Slot::Free);
        self.find(|model, page| match last {
            true => !is_free(model, page) && is_free(model, page + 1),
            false => page > 0 && is_free(model, page) && !is_free(model, page - 1),
        })
    }

    /// A byte of the arena: of something mapped, mostly at an edge.
    pub(super) fn place(&mut self) -> usize {
        let edge = match self.random.u32(0..16) {
            0..=4 => self.mapped_edge(),
            5..=7 => self.mapped_eof(),
            8 | 9 => self.end_of_mapping().map(|page| page * PAGE_SIZE),
            10 => Some(self.random.usize(..self.pages) * PAGE_SIZE),
            _ => None,
        };
        if let Some(at) = edge {
            return at;
        }
        let actor = self.actor;
        let mapped = |model: &Model, page| matches!(model.slot(actor, page), Slot::File(_));
        let any = self.random.usize(..self.pages);
        self.find(mapped).unwrap_or(any) * PAGE_SIZE
    }

    /// A range of pages of the arena, which begins, or rarely ends, at a place.
    pub(super) fn range(&mut self) -> (usize, usize) {
        let page = self.place() / PAGE_SIZE;
        let pages = self.few(self.pages - page);
        match self.one_in(4) {
            true => (page.saturating_sub(pages), pages.min(page).max(1)),
            false => (page, pages),
        }
    }

    /// A range of bytes of the arena.
    pub(super) fn buffer(&mut self) -> (usize, usize) {
        let place = self.place();
        let pages = self.few(self.pages - place / PAGE_SIZE);
        let at = match self.random.u32(0..3) {
            0 => place / PAGE_SIZE * PAGE_SIZE,
            1 => place,
            _ => place / PAGE_SIZE * PAGE_SIZE + self.random.usize(..PAGE_SIZE),
        };
        let most = (pages * PAGE_SIZE - at % PAGE_SIZE).min(14 * PAGE_SIZE);
        (at, self.random.usize(0..=most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{File, Kind};
    use crate::op::{Fd, RW};

    #[test]
    fn edges_of_a_file_are_remembered_and_the_oldest_forgotten() {
        let model = Model {
            files: vec![
                File::new(Kind::Region, 10 * SIZE),
                File::new(Kind::Region, 0),
            ],
            actors: Vec::new(),
            only_memfds: false,
            position: None,
        };
        let mut edges = Edges::default();
        let mut random = fastrand::Rng::with_seed(1);
        let truncation = |file: usize, size: u64| {
            let fd = Fd { file, desc: RW };
            Op::new(0, Call::Truncate { fd, size })
        };
        edges.note(&model, &truncation(0, 77));
        assert_eq!(edges.of(&mut random, 1), None);
        let mut seen: Vec<_> = (0..50).filter_map(|_| edges.of(&mut random, 0)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [77, 10 * SIZE]);
        for _ in 0..MEMORY {
            edges.note(&model, &truncation(1, 5));
        }
        assert_eq!(edges.of(&mut random, 0), None);
        assert_eq!(edges.of(&mut random, 1), Some(5));
    }
}
