// SPDX-License-Identifier: GPL-2.0

//! Makes operations that mostly do something.

mod memory;

use crate::episode::Setting;
use crate::model::{Kind, Model, Slot};
use crate::op::{Call, Fd, Op, OTHER, RO, RW};
use crate::pair;
use rmmap_sys::PAGE_SIZE;

/// Makes an operation of one kind.
type Make = fn(&mut Generator<'_>) -> Call;

/// How often each kind of operation is made, of the sum of all.
const WEIGHTS: &[(u32, Make)] = &[
    (60, |g| g.map()),
    (20, |g| g.unmap()),
    (20, |g| g.protect()),
    (24, |g| g.remap()),
    (50, |g| g.advise()),
    (14, |g| g.lock()),
    (6, |g| g.sync()),
    (6, |g| g.incore()),
    (120, |g| g.load()),
    (150, |g| g.store()),
    (60, |g| g.read()),
    (90, |g| g.write()),
    (25, |g| g.read_into()),
    (35, |g| g.write_from()),
    (30, |g| g.seek()),
    (50, |g| g.truncate()),
    (40, |g| g.fallocate()),
    (30, |g| g.discard()),
    (15, |g| g.allocate()),
    (4, |g| g.seal()),
    (12, |g| g.policy()),
    (25, |g| g.splice()),
    (14, |g| g.vmsplice()),
    (8, |g| g.hold()),
    (24, |g| g.copy()),
    (24, |g| g.remote()),
    (12, |g| g.fork()),
    (8, |g| g.pass()),
    (10, |g| g.reopen()),
    (2, |g| g.sysctl()),
];

/// What makes the operations of a sequence.
pub struct Generator<'a> {
    random: &'a mut fastrand::Rng,
    model: &'a Model,
    pages: usize,
    actor: usize,
}

/// Makes the next operation of a sequence.
pub fn next(random: &mut fastrand::Rng, model: &Model, setting: &Setting) -> Op {
    let alive: Vec<usize> = (0..model.actors.len())
        .filter(|actor| model.actors[*actor].is_some())
        .collect();
    let actor = alive[random.usize(..alive.len())];
    let mut generator = Generator {
        random,
        model,
        pages: setting.pages,
        actor,
    };
    let mut op = Op::new(actor, generator.weighed());
    if setting.pairs && alive.len() > 1 && generator.one_in(3) {
        op.with = generator.beside(&op).map(Box::new);
    }
    op
}

/// What may be done beside something else.
const BESIDE: &[Make] = &[
    |g| g.load(),
    |g| g.store(),
    |g| g.read(),
    |g| g.write(),
    |g| g.fallocate(),
    |g| g.discard(),
];

impl Generator<'_> {
    fn weighed(&mut self) -> Call {
        let sum = WEIGHTS.iter().map(|(weight, _)| weight).sum();
        let mut at = self.random.u32(0..sum);
        for (weight, make) in WEIGHTS {
            if at < *weight {
                return make(self);
            }
            at -= weight;
        }
        unreachable!("the number is below the sum")
    }

    /// An operation of another actor that does not depend on `op`, if one is found.
    fn beside(&mut self, op: &Op) -> Option<Op> {
        const TRIES: usize = 8;

        for _ in 0..TRIES {
            self.actor = self.other();
            let make = self.pick(BESIDE);
            let other = Op::new(self.actor, make(self));
            if pair::independent(self.model, op, &other) {
                return Some(other);
            }
        }
        None
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.random.u32(0..n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.usize(..from.len())]
    }

    /// A number of pages: mostly few.
    fn few(&mut self, most: usize) -> usize {
        let most = most.max(1);
        let most = match self.random.u32(0..8) {
            0 => most,
            1 | 2 => most.min(64),
            _ => most.min(6),
        };
        self.random.usize(1..=most)
    }

    /// A range of the arena: anywhere, or where something is mapped.
    fn range(&mut self) -> (usize, usize) {
        let mut page = self.random.usize(..self.pages);
        if !self.one_in(6) {
            for _ in 0..8 {
                if let Slot::File(_) = self.model.slot(self.actor, page) {
                    break;
                }
                page = self.random.usize(..self.pages);
            }
        }
        let pages = self.few(self.pages - page);
        (page, pages)
    }

    fn fd(&mut self) -> Fd {
        let file = self.random.usize(..self.model.files.len());
        let desc = match self.random.u32(0..20) {
            0 => RO,
            1..=5 => OTHER,
            _ => RW,
        };
        Fd { file, desc }
    }

    fn region(&mut self) -> Fd {
        let fd = self.fd();
        match self.model.files[fd.file].kind {
            Kind::Region => fd,
            Kind::Device => Fd { file: 0, ..fd },
        }
    }

    /// A byte of a file: mostly before EOF, often at the beginning of a page or near EOF.
    fn offset(&mut self, file: usize) -> u64 {
        let size = self.model.files[file].size;
        let most = (self.pages * PAGE_SIZE) as u64;
        let near = match self.random.u32(0..10) {
            0 => size,
            1 => (size / 4096) * 4096,
            2 => self.random.u64(..most),
            _ => self.random.u64(..=size.min(most)),
        };
        match self.random.u32(0..4) {
            0 | 1 => near / 4096 * 4096,
            2 => (near + 8).saturating_sub(self.random.u64(0..16)),
            _ => near,
        }
    }

    /// A number of bytes from `off` on that ends within the arena's length.
    fn bytes(&mut self, off: u64, most: usize) -> usize {
        let room = ((self.pages * PAGE_SIZE) as u64).saturating_sub(off) as usize;
        let most = most.min(room);
        match self.random.u32(0..8) {
            0 => self.random.usize(0..=most.min(16)),
            1..=3 => self.few((most / PAGE_SIZE).max(1)).min(most / PAGE_SIZE) * PAGE_SIZE,
            4..=6 => self.random.usize(0..=most.min(3 * PAGE_SIZE)),
            _ => self.random.usize(0..=most),
        }
    }

    /// A range of bytes of the arena.
    fn buffer(&mut self) -> (usize, usize) {
        let (page, pages) = self.range();
        let within = match self.one_in(2) {
            true => 0,
            false => self.random.usize(..PAGE_SIZE),
        };
        let at = page * PAGE_SIZE + within;
        let most = (pages * PAGE_SIZE - within).min(14 * PAGE_SIZE);
        (at, self.random.usize(0..=most))
    }

    fn lens(&mut self, len: usize) -> Vec<usize> {
        if !self.one_in(3) {
            return vec![len];
        }
        let mut lens = Vec::new();
        let mut left = len;
        for _ in 0..self.random.usize(1..4) {
            let one = self.random.usize(0..=left);
            lens.push(one);
            left -= one;
        }
        lens.push(left);
        lens
    }

    fn read(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let len = self.bytes(0, self.pages * PAGE_SIZE);
        let lens = self.lens(len);
        let off = (!self.one_in(4)).then_some(off);
        Call::Read { fd, off, lens }
    }

    fn write(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let len = self.bytes(off, self.pages * PAGE_SIZE / 2);
        let lens = self.lens(len);
        let off = (!self.one_in(5)).then_some(off);
        let seed = self.random.u64(..);
        Call::Write {
            fd,
            off,
            lens,
            seed,
        }
    }

    fn read_into(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let (at, len) = self.buffer();
        Call::ReadInto { fd, off, at, len }
    }

    fn write_from(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let (at, len) = self.buffer();
        Call::WriteFrom { fd, off, at, len }
    }

    fn seek(&mut self) -> Call {
        let fd = self.fd();
        let whence = self.pick(&[0, 0, 1, 2, 3, 3, 3, 4, 4, 4]);
        let off = match whence {
            1 | 2 => -(self.random.i64(0..3 * 4096)),
            _ => self.offset(fd.file) as i64,
        };
        Call::Seek { fd, whence, off }
    }

    fn truncate(&mut self) -> Call {
        let mut fd = self.region();
        // A large folio that a pipe holds cannot be split.
        let mut files = self.model.files.iter();
        match files.position(|file| file.held && file.kind == Kind::Region) {
            Some(file) if self.one_in(2) => fd.file = file,
            _ => {}
        }
        let size = match self.random.u32(0..4) {
            0 => self.random.u64(..=(self.pages * PAGE_SIZE) as u64),
            _ => self.offset(fd.file),
        };
        Call::Truncate { fd, size }
    }

    fn fallocate(&mut self) -> Call {
        let fd = self.fd();
        let device = self.model.files[fd.file].kind == Kind::Device;
        let off = self.offset(fd.file);
        let len = self.bytes(off, self.pages * PAGE_SIZE) as u64;
        let mode = match device {
            true => self.pick(&[0, 1, 3]),
            false => self.pick(&[0, 0, 1, 1, 3, 3, 3, 3, 3, 2, 0x10, 0x11, 8, 0x20, 0x40]),
        };
        Call::Fallocate {
            fd,
            mode,
            off,
            len: if device { len.max(1) } else { len },
        }
    }

    fn discard(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let (off, len) = self.whole(off);
        Call::Discard { fd, off, len }
    }

    fn allocate(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let (off, len) = self.whole(off);
        Call::Allocate { fd, off, len }
    }

    /// Mostly whole pages.
    fn whole(&mut self, off: u64) -> (u64, u64) {
        let len = self.bytes(off, self.pages * PAGE_SIZE) as u64;
        match self.one_in(8) {
            true => (off, len),
            false => (off / 4096 * 4096, len.next_multiple_of(4096)),
        }
    }

    fn seal(&mut self) -> Call {
        let fd = self.fd();
        let seals = self.pick(&[0x01, 0x02, 0x04, 0x04, 0x08, 0x10, 0x10, 0x06]);
        Call::Seal { fd, seals }
    }

    fn policy(&mut self) -> Call {
        let fd = self.fd();
        let policy = self.random.u32(0..3);
        Call::Policy { fd, policy }
    }

    fn splice(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let len = self.random.usize(1..=8 * PAGE_SIZE);
        let seed = self.random.u64(..);
        match self.one_in(2) {
            true => Call::SpliceOut { fd, off, len },
            false => Call::SpliceIn { fd, off, len, seed },
        }
    }

    fn vmsplice(&mut self) -> Call {
        let (at, len) = self.buffer();
        Call::Vmsplice {
            at,
            len: len.min(8 * PAGE_SIZE),
        }
    }

    fn hold(&mut self) -> Call {
        match self.one_in(2) {
            true => {
                let (at, len) = self.buffer();
                Call::Hold {
                    at,
                    len: len.min(4 * PAGE_SIZE),
                }
            }
            false => Call::Release {},
        }
    }

    fn copy(&mut self) -> Call {
        let (from, to) = (self.region(), self.region());
        let (off, to_off) = (self.offset(from.file), self.offset(to.file));
        let len = self.random.usize(1..=12 * PAGE_SIZE);
        match self.one_in(2) {
            true => Call::SendFile { from, off, to, len },
            false => Call::CopyRange {
                from,
                off,
                to,
                to_off,
                len,
            },
        }
    }

    fn remote(&mut self) -> Call {
        let of = self.other();
        let (at, len) = self.buffer();
        let seed = self.random.u64(..);
        match self.one_in(2) {
            true => Call::Peek { of, at, len },
            false => Call::Poke { of, at, len, seed },
        }
    }

    /// An actor that exists.
    fn other(&mut self) -> usize {
        loop {
            let actor = self.random.usize(..self.model.actors.len());
            if self.model.actors[actor].is_some() {
                return actor;
            }
        }
    }

    fn fork(&mut self) -> Call {
        let n = self.model.actors.len();
        let to = (self.actor + self.random.usize(1..n)) % n;
        Call::Fork { to }
    }

    fn pass(&mut self) -> Call {
        Call::Pass {
            fd: self.fd(),
            to: self.other(),
        }
    }

    fn reopen(&mut self) -> Call {
        let fd = self.region();
        let flags = self.pick(&[2, 2, 2, 2 | 0o2000, 2 | 0o1000]);
        Call::Reopen {
            file: fd.file,
            flags,
        }
    }

    fn sysctl(&mut self) -> Call {
        let name = self.pick(&["drop_caches", "compact_memory"]);
        Call::Sysctl { name: name.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{File, Memory};

    /// The first operations of a seed.
    fn operations(seed: u64) -> Vec<Op> {
        let memory = Memory {
            slots: vec![Slot::Free; 8],
            locks: false,
        };
        let model = Model {
            files: vec![
                File::new(Kind::Region, 5000),
                File::new(Kind::Device, 9 << 12),
            ],
            actors: vec![Some(memory), None, None],
            only_memfds: false,
        };
        let setting = Setting {
            pages: 8,
            actors: 3,
            files: Vec::new(),
            pairs: true,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        (0..500)
            .map(|_| next(&mut random, &model, &setting))
            .collect()
    }

    #[test]
    fn a_seed_makes_the_same_operations_and_a_file_keeps_them() {
        let made = operations(1);
        assert_eq!(made, operations(1));
        assert_ne!(made, operations(2));
        let text = serde_json::to_string(&made).expect("it is text");
        let read: Vec<Op> = serde_json::from_str(&text).expect("it is read again");
        assert_eq!(made, read);
    }
}
