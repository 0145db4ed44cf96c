// SPDX-License-Identifier: GPL-2.0

//! What an operation does to the model, and what the model says of its outcome.

mod mapping;

use crate::model::{pieces, whole_pages, zeroes, Access, Kind, Model, Slot};
use crate::op::{self, Call, Fd, Op, Outcome, KEEP_SIZE, OTHER, PUNCH_HOLE};
use rmmap_sys::{Errno, PAGE_SIZE};
use std::ops::Range;

const SIZE: u64 = PAGE_SIZE as u64;

/// Private, as in `MAP_PRIVATE`.
const MAP_PRIVATE: i32 = 2;
/// Flags of `mremap(2)`.
pub const MREMAP_DONTUNMAP: i32 = 4;

/// What is to be looked at after an operation.
#[derive(Debug, Default)]
pub struct Effects {
    /// Bytes of files that changed, or should not have: file, first byte, length.
    pub check: Vec<(usize, u64, usize)>,
    /// Pages of files that must not be in memory.
    pub absent: Vec<(usize, Range<usize>)>,
    /// A write that did not grow this file has zeroed what mappings stored past its end.
    pub emptied: Option<usize>,
    /// A write that let its file grow copied what mappings stored past the old EOF: a region has
    /// zeroed it by then, a memfd has not.
    pub apart: bool,
    /// The model does not know what a region has past EOF.
    pub ends: bool,
    /// The model does not know what these files hold: it learns it.
    pub learn: Vec<usize>,
    /// How the outcome contradicts the model.
    pub wrong: Option<String>,
}

impl Effects {
    fn check(&mut self, file: usize, off: u64, len: usize) {
        // The neighbours, too: the byte before and after.
        let from = off.saturating_sub(8);
        self.check
            .push((file, from, (off - from) as usize + len + 8));
    }

    fn expect<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: T, expected: T) {
        if got != expected && self.wrong.is_none() {
            self.wrong = Some(format!("{what} is {got:x?}, the model says {expected:x?}"));
        }
    }
}

impl Op {
    /// Whether a descriptor is written that may append, wherever the write asks to go.
    pub fn may_append(&self, model: &Model) -> bool {
        let (Call::Write { fd, .. } | Call::WriteFrom { fd, .. } | Call::SendFile { to: fd, .. }) =
            self.call
        else {
            return false;
        };
        fd.desc == OTHER && model.files[fd.file].appends
    }
}

impl Model {
    /// Does to the model what the kernel did, as the outcome tells, and compares.
    pub fn apply(&mut self, op: &Op, outcome: &Outcome) -> Effects {
        let mut effects = Effects::default();
        let done = outcome.ret.max(0) as usize;
        match &op.call {
            Call::Load { .. } | Call::Store { .. } => self.access(op, outcome, &mut effects),
            Call::Map { .. }
            | Call::Unmap { .. }
            | Call::Protect { .. }
            | Call::Remap { .. }
            | Call::Advise { .. }
            | Call::Lock { .. }
            | Call::LockAll { .. } => self.map(op, outcome.is_ok(), &mut effects),
            Call::Read { fd, off, lens } => {
                let len = lens.iter().sum();
                let pos = off.unwrap_or(outcome.pos.saturating_sub(done as u64));
                self.is_read(fd.file, pos, len, outcome, &mut effects);
            }
            Call::SpliceOut { fd, off, len } => {
                self.is_read(fd.file, *off, *len, outcome, &mut effects);
            }
            Call::Write {
                fd,
                off,
                lens,
                seed,
            } => {
                let data = op::bytes(lens.iter().sum(), *seed);
                let pos = off.unwrap_or(outcome.pos.saturating_sub(done as u64));
                self.written(*fd, pos, &data[..done.min(data.len())], &mut effects);
            }
            Call::SpliceIn { fd, off, len, seed } => {
                let data = op::bytes(*len, *seed);
                self.written(*fd, *off, &data[..done.min(*len)], &mut effects);
            }
            Call::SendFile { from, off, to, .. } => {
                let pos = outcome.pos.saturating_sub(done as u64);
                self.copied(from.file, *off, *to, pos, done, &mut effects);
            }
            Call::CopyRange {
                from,
                off,
                to,
                to_off,
                ..
            } => self.copied(from.file, *off, *to, *to_off, done, &mut effects),
            Call::ReadInto { fd, off, at, len } => {
                // A source that is its own target may be read before or after it is written.
                if self.maps(op.actor, *at, done, fd.file) {
                    effects.learn.push(fd.file);
                    effects.ends = self.maps_tail(op.actor, *at, done, fd.file);
                }
                let data = self.files[fd.file].bytes(*off, done.min(*len));
                self.stored(op.actor, *at, &data, &mut effects);
            }
            Call::Poke { of, at, len, seed } => {
                let data = op::bytes(*len, *seed);
                self.stored(*of, *at, &data[..done.min(*len)], &mut effects);
            }
            Call::Peek { of, at, .. } if outcome.is_ok() => {
                if let Some(data) = self.gathered(*of, *at, done) {
                    effects.expect("what was peeked", outcome.data, op::hash(&data));
                }
            }
            Call::Vmsplice { at, .. } if outcome.is_ok() => {
                if let Some(data) = self.gathered(op.actor, *at, done) {
                    effects.expect("what came through the pipe", outcome.data, op::hash(&data));
                }
            }
            Call::Hold { at, len } => {
                for page in *at / PAGE_SIZE..(at + len).div_ceil(PAGE_SIZE) {
                    match self.slot(op.actor, page) {
                        Slot::File(mapped) => {
                            let (file, page) = (mapped.file, mapped.page);
                            self.files[file].held = true;
                            self.files[file].held_at = page;
                        }
                        Slot::Unknown => self.files.iter_mut().for_each(|file| file.held = true),
                        Slot::Free => {}
                    }
                }
                // It stores what private pages had at some time.
                let _ = self.gathered(op.actor, *at, done);
            }
            Call::Release {} => {
                for file in &mut self.files {
                    (file.held, file.torn) = (false, false);
                }
            }
            // A memfd has grown to the offset: see the declared differences.
            Call::WriteFrom { fd, .. } if self.only_memfds && !outcome.is_ok() => {
                effects.learn.push(fd.file);
            }
            Call::WriteFrom { fd, off, at, .. } => {
                let data = self.gathered(op.actor, *at, done);
                let before = self.files[fd.file].size;
                match data {
                    Some(data) if !self.maps(op.actor, *at, done, fd.file) => {
                        self.written(*fd, *off, &data, &mut effects);
                    }
                    _ => {
                        effects.learn.push(fd.file);
                        let grows = op.may_append(self) || *off + done as u64 > before;
                        effects.apart = grows && self.maps_tail(op.actor, *at, done, fd.file);
                    }
                }
                self.ended_early(op, before, outcome, &mut effects);
            }
            Call::Truncate { fd, size } if outcome.is_ok() => {
                let before = self.files[fd.file].size;
                self.files[fd.file].resize(*size);
                let first = size.div_ceil(SIZE) as usize;
                if *size < before {
                    self.drop_copies(fd.file, first);
                }
                if *size <= before {
                    effects.absent.push((fd.file, first..usize::MAX));
                }
                effects.check(fd.file, (*size).min(before), PAGE_SIZE);
            }
            // It must have changed nothing.
            Call::Truncate { fd, .. } if outcome.ret == -i64::from(Errno::BUSY.raw_os_error()) => {
                let size = self.files[fd.file].size as usize;
                effects.check(fd.file, 0, size);
            }
            Call::Fallocate { fd, mode, off, len } if outcome.is_ok() => {
                self.fallocated(*fd, *mode, *off, *len, &mut effects);
            }
            Call::Seal { fd, seals } if outcome.is_ok() => self.files[fd.file].seals |= seals,
            Call::Discard { fd, off, len } if outcome.is_ok() => {
                self.punched(fd.file, *off, *len, &mut effects);
            }
            Call::Allocate { fd, off, len } if outcome.is_ok() => {
                let file = &mut self.files[fd.file];
                let end = (off + len).min(file.size.next_multiple_of(SIZE));
                file.allocate(*off, end.saturating_sub(*off));
                effects.check(fd.file, *off, *len as usize);
            }
            Call::Reopen { file, flags } if outcome.is_ok() => {
                const O_TRUNC: u32 = 0o1000;
                const O_APPEND: u32 = 0o2000;
                self.files[*file].appends |= flags & O_APPEND != 0;
                if flags & O_TRUNC != 0 && self.files[*file].kind == Kind::Region {
                    self.files[*file].resize(0);
                    self.drop_copies(*file, 0);
                    effects.absent.push((*file, 0..usize::MAX));
                }
            }
            Call::Fork { to } if outcome.is_ok() => {
                let mut child = self.actors[op.actor].clone();
                for slot in child.iter_mut().flat_map(|memory| &mut memory.slots) {
                    match slot {
                        Slot::File(mapped) if mapped.no_fork => *slot = Slot::Free,
                        _ => {}
                    }
                }
                if let Some(memory) = &mut child {
                    memory.locks = false;
                }
                self.actors[*to] = child;
            }
            _ => {}
        }
        effects
    }

    /// A load or a store.
    fn access(&mut self, op: &Op, outcome: &Outcome, effects: &mut Effects) {
        let (Call::Load { at, n, stride } | Call::Store { at, n, stride, .. }) = op.call else {
            return;
        };
        let mut words = Vec::new();
        for i in 0..n {
            let at = at + i * stride;
            let answer = match &op.call {
                Call::Store { value, .. } => {
                    let data = value.wrapping_add(i as u64).to_le_bytes();
                    match self.store(op.actor, at, &data) {
                        Access::Got(Some((file, off))) => {
                            effects.check(file, off, 8);
                            Access::Got(Vec::new())
                        }
                        Access::Got(None) => Access::Got(Vec::new()),
                        Access::Fault(signal, code) => Access::Fault(signal, code),
                        Access::Unknown if (i as i64) < outcome.ret => {
                            self.stored_unknown(op.actor, at / PAGE_SIZE, effects);
                            Access::Got(Vec::new())
                        }
                        Access::Unknown => Access::Unknown,
                    }
                }
                _ => self.load(op.actor, at, 8),
            };
            match answer {
                Access::Got(word) => words.extend(word),
                Access::Unknown => return,
                Access::Fault(signal, code) => {
                    let fault = Some((signal, code, at as u64));
                    effects.expect("the fault", outcome.fault, fault);
                    effects.expect("the number of accesses", outcome.ret, i as i64);
                    return;
                }
            }
        }
        effects.expect("the fault", outcome.fault, None);
        if let Call::Load { .. } = op.call {
            effects.expect("what was loaded", outcome.data, op::hash(&words));
        }
    }

    /// A read of a file.
    fn is_read(
        &mut self,
        file: usize,
        pos: u64,
        len: usize,
        outcome: &Outcome,
        effects: &mut Effects,
    ) {
        if !outcome.is_ok() {
            return;
        }
        let n = self.files[file].readable(pos, len);
        effects.expect("the number of bytes read", outcome.ret, n as i64);
        let data = self.files[file].bytes(pos, n);
        effects.expect("what was read", outcome.data, op::hash(&data));
    }

    fn written(&mut self, fd: Fd, pos: u64, data: &[u8], effects: &mut Effects) {
        if fd.desc == OTHER && self.files[fd.file].appends {
            // Where it was written depends on how the descriptor was opened.
            effects.learn.push(fd.file);
            return;
        }
        let before = self.files[fd.file].size;
        self.files[fd.file].write(pos, data);
        effects.check(fd.file, pos, data.len());
        if pos > before {
            effects.check(fd.file, before, PAGE_SIZE);
        }
    }

    /// A write from an arena that may have ended before the file grew, where the source faulted: a
    /// region has zeroed by then what mappings stored past EOF (write_iter() in file/rw.rs).
    fn ended_early(&mut self, op: &Op, before: u64, outcome: &Outcome, effects: &mut Effects) {
        /// `F_SEAL_GROW`, with which the write ends before EOF, and those that forbid it.
        const SEALS: u32 = 0x04 | 0x08 | 0x10;
        let Call::WriteFrom { fd, off, len, .. } = op.call else {
            return;
        };
        let fault = outcome.ret == -i64::from(Errno::FAULT.raw_os_error());
        let begun = fault || (outcome.ret > 0 && outcome.ret < len as i64);
        let appends = op.may_append(self);
        let file = &mut self.files[fd.file];
        let fixed = file.kind == Kind::Device || self.only_memfds || file.seals & SEALS != 0;
        let reaches = appends || off + len as u64 > before;
        if fixed || !begun || !reaches || file.size > before || !file.empty_tail() {
            return;
        }
        effects.emptied = Some(fd.file);
        effects.ends = appends || effects.learn.contains(&fd.file);
    }

    /// A copy from file to file.
    fn copied(
        &mut self,
        from: usize,
        off: u64,
        to: Fd,
        pos: u64,
        done: usize,
        effects: &mut Effects,
    ) {
        let overlaps = from == to.file && off < pos + done as u64 && pos < off + done as u64;
        let data = self.files[from].bytes(off, done);
        self.written(to, pos, &data, effects);
        if overlaps {
            effects.learn.push(to.file);
        }
    }

    fn fallocated(&mut self, fd: Fd, mode: u32, off: u64, len: u64, effects: &mut Effects) {
        if mode & PUNCH_HOLE != 0 {
            return self.punched(fd.file, off, len, effects);
        }
        let file = &mut self.files[fd.file];
        let before = file.size;
        if mode & KEEP_SIZE == 0 {
            file.grow(off + len);
        }
        file.allocate(off, len);
        effects.check(fd.file, off, len as usize);
        effects.check(fd.file, before, PAGE_SIZE);
    }

    fn punched(&mut self, file: usize, off: u64, len: u64, effects: &mut Effects) {
        self.files[file].punch(off, len);
        effects.absent.push((file, whole_pages(off, off + len)));
        effects.check(file, off, len as usize);
    }

    /// Bytes of an arena as the kernel reads them, if the model knows them.
    fn gathered(&mut self, actor: usize, at: usize, len: usize) -> Option<Vec<u8>> {
        let mut data = Vec::with_capacity(len);
        for (page, within, _, n) in pieces(at as u64, len) {
            match self.load(actor, page * PAGE_SIZE + within, n) {
                Access::Got(bytes) => data.extend(bytes),
                _ => return None,
            }
        }
        Some(data)
    }

    /// Whether a range of an arena shows a file.
    fn maps(&self, actor: usize, at: usize, len: usize, file: usize) -> bool {
        pieces(at as u64, len).any(|(page, ..)| match self.slot(actor, page) {
            Slot::File(mapped) => mapped.file == file,
            _ => true,
        })
    }

    /// Whether a range of an arena may show bytes past the end of a file, which nobody can read to
    /// learn them.
    fn maps_tail(&self, actor: usize, at: usize, len: usize, file: usize) -> bool {
        let size = self.files[file].size;
        pieces(at as u64, len).any(|(page, ..)| match self.slot(actor, page) {
            Slot::File(mapped) => {
                mapped.file == file && size % SIZE != 0 && mapped.page as u64 == size / SIZE
            }
            _ => true,
        })
    }

    /// The kernel stored bytes to an arena.
    fn stored(&mut self, actor: usize, at: usize, data: &[u8], effects: &mut Effects) {
        for (page, within, from, n) in pieces(at as u64, data.len()) {
            match self.store(actor, page * PAGE_SIZE + within, &data[from..from + n]) {
                Access::Got(Some((file, off))) => effects.check(file, off, n),
                Access::Got(None) => {}
                _ => {
                    self.stored_unknown(actor, page, effects);
                }
            }
        }
    }

    /// Somebody stored to a page, and the model does not know what is there.
    fn stored_unknown(&mut self, actor: usize, page: usize, effects: &mut Effects) {
        match self.slot(actor, page) {
            Slot::Unknown => effects.learn.extend(0..self.files.len()),
            // A private copy.
            _ => self.blur(actor, page, 1),
        }
    }

    /// Learns what a file holds.
    pub fn learn(&mut self, file: usize, bytes: &[u8]) {
        let file = &mut self.files[file];
        file.size = bytes.len() as u64;
        for (index, data) in bytes.chunks(PAGE_SIZE).enumerate() {
            if file.pages.get(index).is_none_or(Option::is_none) && data.iter().all(|b| *b == 0) {
                continue;
            }
            if index >= file.pages.len() {
                file.pages.resize(index + 1, None);
                file.touched.resize(index + 1, false);
            }
            let page = file.pages[index].get_or_insert_with(zeroes);
            page[..data.len()].copy_from_slice(data);
        }
    }
}

/// Advices by name.
pub mod libc_advice {
    #![allow(missing_docs, reason = "the kernel's names")]
    pub const DONTNEED: i32 = 4;
    pub const REMOVE: i32 = 9;
    pub const DONTFORK: i32 = 10;
    pub const DOFORK: i32 = 11;
    pub const POPULATE_WRITE: i32 = 23;
    pub const DONTNEED_LOCKED: i32 = 24;
    pub const COLLAPSE: i32 = 25;
    pub const GUARD_INSTALL: i32 = 102;
    pub const GUARD_REMOVE: i32 = 103;
}
