// SPDX-License-Identifier: GPL-2.0

//! Operations on memory.

use super::Generator;
use crate::op::Call;
use crate::predict::{libc_advice, MREMAP_DONTUNMAP};
use rmmap_sys::PAGE_SIZE;

impl Generator<'_> {
    pub(super) fn map(&mut self) -> Call {
        let fd = self.fd();
        let page = match self.one_in(2) {
            true => self.random.usize(..self.pages),
            false => self.random.usize(..self.pages) / 16 * 16,
        };
        let pages = match self.one_in(3) {
            true => self.pages - page,
            false => self.few(self.pages - page),
        };
        let eof = self.model.files[fd.file].size_pages();
        let pgoff = match self.random.u32(0..5) {
            0 => self.random.usize(..self.pages),
            1 => 0,
            // As it lies in the arena: with the file's alignment.
            2 => page,
            // Across EOF.
            3 => eof.saturating_sub(self.random.usize(0..4)),
            _ => (self.offset(fd.file) / 4096) as usize,
        };
        let prot = self.pick(&[3, 3, 3, 3, 1, 1, 2, 7, 5, 0]);
        let kind = self.pick(&[1, 1, 1, 1, 3, 2, 2]);
        let more = self.pick(&[
            0, 0, 0, 0, 0, 0, 0, 0, 0x4000, 0x8000, 0x8000, 0x18000, 0x2000, 0x2_0000, 0x10_0000,
            0x8_0000,
        ]);
        Call::Map {
            page,
            pages,
            prot,
            flags: kind | more,
            fd,
            pgoff,
        }
    }

    pub(super) fn unmap(&mut self) -> Call {
        let (page, pages) = self.range();
        Call::Unmap { page, pages }
    }

    pub(super) fn protect(&mut self) -> Call {
        let (page, pages) = self.range();
        let prot = self.pick(&[3, 3, 3, 1, 1, 0, 7, 5]);
        Call::Protect { page, pages, prot }
    }

    pub(super) fn remap(&mut self) -> Call {
        let (page, old) = self.range();
        let to = match self.one_in(3) {
            true => None,
            false => Some(self.random.usize(..self.pages)),
        };
        let room = self.pages - to.unwrap_or(page);
        let (old, new) = match self.random.u32(0..6) {
            0 => (old, self.few(room)),
            1 => (old, (old + self.few(8)).min(room)),
            2 if to.is_some() => (0, old.min(room)),
            _ => (old.min(room), old.min(room)),
        };
        let flags = match to {
            Some(_) if self.one_in(3) => MREMAP_DONTUNMAP,
            _ => 0,
        };
        Call::Remap {
            page,
            old,
            new,
            to,
            flags,
        }
    }

    pub(super) fn advise(&mut self) -> Call {
        let (page, pages) = self.range();
        let advice = self.pick(&[
            0,
            1,
            2,
            3,
            libc_advice::DONTNEED,
            libc_advice::DONTNEED,
            8,
            libc_advice::REMOVE,
            libc_advice::REMOVE,
            libc_advice::REMOVE,
            libc_advice::DONTFORK,
            libc_advice::DOFORK,
            12,
            13,
            14,
            14,
            15,
            15,
            16,
            17,
            18,
            19,
            20,
            21,
            22,
            22,
            22,
            libc_advice::POPULATE_WRITE,
            libc_advice::POPULATE_WRITE,
            libc_advice::DONTNEED_LOCKED,
            libc_advice::COLLAPSE,
            libc_advice::GUARD_INSTALL,
            libc_advice::GUARD_REMOVE,
            99,
        ]);
        Call::Advise {
            page,
            pages,
            advice,
        }
    }

    pub(super) fn lock(&mut self) -> Call {
        let (page, pages) = self.range();
        match self.random.u32(0..10) {
            0..=3 => Call::Lock {
                page,
                pages,
                flags: self.random.u32(0..2),
            },
            4..=7 => Call::Unlock { page, pages },
            8 => Call::LockAll {
                flags: self.pick(&[1, 1, 2, 3, 5, 7]),
            },
            _ => Call::UnlockAll {},
        }
    }

    pub(super) fn sync(&mut self) -> Call {
        let (page, pages) = self.range();
        let flags = self.pick(&[1, 4, 2, 6, 5]);
        Call::Sync { page, pages, flags }
    }

    pub(super) fn incore(&mut self) -> Call {
        let (page, pages) = self.range();
        Call::Incore { page, pages }
    }

    /// Where words are accessed: first byte, number, distance.
    pub(super) fn touches(&mut self) -> (usize, usize, usize) {
        let place = self.place();
        let page = place / PAGE_SIZE;
        let pages = self.few(self.pages - page);
        let within = match self.random.u32(0..4) {
            0 => self.random.usize(..PAGE_SIZE / 8) * 8,
            // The word that an edge is in, and the next.
            1 if place % PAGE_SIZE < PAGE_SIZE - 8 => place % PAGE_SIZE / 8 * 8 + 8,
            _ => place % PAGE_SIZE / 8 * 8,
        };
        let at = page * PAGE_SIZE + within;
        match self.random.u32(0..6) {
            // Pages in order, a stream.
            0 | 1 => (at, pages, PAGE_SIZE),
            2 | 3 => (at, 1, 8),
            4 => (at, (PAGE_SIZE - within) / 8, 8),
            _ => (at, pages.div_ceil(4), 4 * PAGE_SIZE),
        }
    }

    pub(super) fn load(&mut self) -> Call {
        let (at, n, stride) = self.touches();
        Call::Load { at, n, stride }
    }

    pub(super) fn store(&mut self) -> Call {
        let (at, n, stride) = self.touches();
        let value = self.random.u64(..);
        Call::Store {
            at,
            n,
            stride,
            value,
        }
    }
}
