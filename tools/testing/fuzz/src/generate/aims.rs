// SPDX-License-Identifier: GPL-2.0

//! Operations that the state of a file makes interesting, and that random ones seldom are.

use super::Generator;
use crate::model::{File, Kind, Mapped, Slot};
use crate::op::{Call, Fd, KEEP_SIZE, PUNCH_HOLE, RW};
use rmmap_sys::PAGE_SIZE;

const SIZE: u64 = PAGE_SIZE as u64;
const SHARED: i32 = 1;
const PRIVATE: i32 = 2;
const READ: i32 = 1;
const WRITE: i32 = 2;
/// Protections of `mmap(2)`: readable and writable.
const BOTH: i32 = 3;

impl Generator<'_> {
    /// An operation aimed at the state of some file, if it has a state of that kind.
    pub(super) fn aimed(&mut self) -> Option<Call> {
        let file = self.random.usize(..self.model.files.len());
        match self.random.u32(0..10) {
            0..=2 => self.tail(file),
            3 => self.failed_write(file),
            4 | 5 => self.past_eof(file),
            6..=8 => self.held(),
            _ => self.sealed(file),
        }
    }

    /// A page of the arena that shows a page of a file for which `wanted` says yes.
    fn showing(&mut self, wanted: impl Fn(&Mapped) -> bool) -> Option<usize> {
        let actor = self.actor;
        self.find(|model, page| match model.slot(actor, page) {
            Slot::File(mapped) => wanted(mapped),
            _ => false,
        })
    }

    /// Bytes that a mapping stores past EOF, or the growth of a file that has some there.
    fn tail(&mut self, file: usize) -> Option<Call> {
        let mut files = self.model.files.iter();
        let file = files.position(File::has_tail).unwrap_or(file);
        let of = &self.model.files[file];
        let (size, within) = (of.size, of.size % SIZE);
        if of.kind == Kind::Device || within == 0 {
            return None;
        }
        let fd = Fd { file, desc: RW };
        if !of.has_tail() {
            let last = (size / SIZE) as usize;
            let page = self.showing(|mapped| {
                mapped.file == file
                    && mapped.page == last
                    && mapped.shared
                    && mapped.prot & WRITE != 0
            })?;
            return Some(Call::Store {
                at: page * PAGE_SIZE + (within.next_multiple_of(8) as usize).min(PAGE_SIZE - 8),
                n: 1,
                stride: 8,
                value: self.random.u64(..),
            });
        }
        let beyond = match self.one_in(2) {
            true => SIZE - within + self.random.u64(0..2 * SIZE),
            false => self.random.u64(1..=SIZE - within),
        };
        let (off, len) = (size + beyond, self.random.u64(1..64));
        Some(match self.random.u32(0..6) {
            0 | 1 => Call::Truncate { fd, size: off },
            2 => Call::Truncate {
                fd,
                size: size - self.random.u64(0..=within),
            },
            3 => Call::Fallocate {
                fd,
                mode: 0,
                off,
                len,
            },
            _ => Call::Write {
                fd,
                off: Some(off),
                lens: vec![len as usize],
                seed: self.random.u64(..),
            },
        })
    }

    /// A write past EOF, into the last page, whose source faults at once.
    fn failed_write(&mut self, file: usize) -> Option<Call> {
        let of = &self.model.files[file];
        let room = of.size.next_multiple_of(SIZE) - of.size;
        if of.kind == Kind::Device || room < 2 {
            return None;
        }
        let off = of.size + self.random.u64(1..room);
        let at = self.gap()? * PAGE_SIZE;
        let fd = Fd { file, desc: RW };
        Some(Call::WriteFrom {
            fd,
            off,
            at,
            len: self.random.usize(1..=PAGE_SIZE),
        })
    }

    /// An access to the page after EOF, or a mapping that shows it.
    fn past_eof(&mut self, file: usize) -> Option<Call> {
        let of = &self.model.files[file];
        let end = of.size_pages();
        if of.kind == Kind::Device {
            return None;
        }
        let private = self.one_in(2);
        let page = self.showing(|mapped| {
            mapped.file == file && mapped.page == end && mapped.shared != private
        });
        if let Some(page) = page {
            let at = page * PAGE_SIZE + self.random.usize(..PAGE_SIZE / 8) * 8;
            let (n, stride, value) = (1, 8, self.random.u64(..));
            return Some(match private || self.one_in(2) {
                true => Call::Store {
                    at,
                    n,
                    stride,
                    value,
                },
                false => Call::Load { at, n, stride },
            });
        }
        let pages = self.few(self.pages.min(4));
        Some(Call::Map {
            page: self.random.usize(..=self.pages - pages),
            pages,
            prot: BOTH,
            flags: if private { PRIVATE } else { SHARED },
            fd: Fd { file, desc: RW },
            pgoff: end.saturating_sub(pages - 1),
        })
    }

    /// A hole or a truncation beside a page that a pipe holds, or a page for a pipe to hold.
    fn held(&mut self) -> Option<Call> {
        let model = self.model;
        let files = &model.files;
        let Some(file) = files.iter().position(|file| file.held) else {
            let page = self.showing(|mapped| {
                let file = &files[mapped.file];
                let is = |page: usize| file.touched.get(page).copied().unwrap_or(false);
                mapped.shared && mapped.prot & READ != 0 && is(mapped.page) && is(mapped.page ^ 1)
            })?;
            let (at, len) = (page * PAGE_SIZE, PAGE_SIZE / 2);
            return Some(Call::Hold { at, len });
        };
        // The other page of any large folio that has the one that is held.
        let page = files[file].held_at as u64;
        let (off, len) = ((page ^ 1) * SIZE, SIZE);
        let fd = Fd { file, desc: RW };
        Some(match self.random.u32(0..4) {
            0 | 1 if files[file].kind == Kind::Region => Call::Truncate {
                fd,
                size: (page | 1) * SIZE,
            },
            2 if files[file].kind == Kind::Region => Call::Fallocate {
                fd,
                mode: PUNCH_HOLE | KEEP_SIZE,
                off,
                len: self.random.u64(1..=2 * SIZE),
            },
            _ => Call::Discard { fd, off, len },
        })
    }

    /// What a seal forbids.
    fn sealed(&mut self, file: usize) -> Option<Call> {
        let of = &self.model.files[file];
        if of.seals == 0 {
            return None;
        }
        let size = of.size;
        let fd = Fd { file, desc: RW };
        Some(match self.random.u32(0..4) {
            0 => Call::Truncate {
                fd,
                size: size.saturating_sub(self.random.u64(1..2 * SIZE)),
            },
            1 => Call::Truncate {
                fd,
                size: size + self.random.u64(1..2 * SIZE),
            },
            _ => {
                let pages = self.few(4.min(self.pages));
                Call::Map {
                    page: self.random.usize(..=self.pages - pages),
                    pages,
                    prot: BOTH,
                    flags: SHARED,
                    fd,
                    pgoff: self.random.usize(..self.pages),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Edges;
    use crate::model::{Memory, Model};

    /// A region whose last page is mapped at page 2 of an arena of eight pages.
    fn model() -> Model {
        let mut slots = vec![Slot::Free; 8];
        slots[2] = Slot::File(Mapped {
            file: 0,
            page: 1,
            shared: true,
            prot: BOTH,
            copy: None,
            vague: false,
            no_fork: false,
        });
        Model {
            files: vec![File::new(Kind::Region, SIZE + 100)],
            actors: vec![Some(Memory {
                slots,
                locks: false,
            })],
            only_memfds: false,
            position: None,
        }
    }

    fn with<T>(model: &Model, make: impl Fn(&mut Generator<'_>) -> T) -> Vec<T> {
        let mut random = fastrand::Rng::with_seed(1);
        let edges = Edges::default();
        let mut generator = Generator {
            random: &mut random,
            model,
            edges: &edges,
            pages: 8,
            actor: 0,
        };
        (0..50).map(|_| make(&mut generator)).collect()
    }

    #[test]
    fn bytes_are_stored_past_eof_and_then_the_size_changes() {
        let mut model = model();
        for call in with(&model, |generator| generator.tail(0)) {
            let Some(Call::Store { at, .. }) = call else {
                panic!("{call:?}");
            };
            assert_eq!(at, 2 * PAGE_SIZE + 104);
        }
        model.files[0].store(SIZE + 104, &[7]);
        for call in with(&model, |generator| generator.tail(0)) {
            let from = match call {
                Some(Call::Write { off: Some(off), .. } | Call::Fallocate { off, .. }) => off,
                Some(Call::Truncate { size, .. }) => size,
                call => panic!("{call:?}"),
            };
            assert!((SIZE..4 * SIZE + 100).contains(&from), "{from}");
        }
    }

    #[test]
    fn a_write_that_fails_begins_in_the_last_page() {
        for call in with(&model(), |generator| generator.failed_write(0)) {
            let Some(Call::WriteFrom { off, at, .. }) = call else {
                panic!("{call:?}");
            };
            assert!(off > SIZE + 100 && off < 2 * SIZE && at != 2 * PAGE_SIZE);
        }
    }
}
