// SPDX-License-Identifier: GPL-2.0

//! Makes operations that mostly do something.

mod aims;
mod edges;
mod file;
mod memory;
mod wide;

pub use edges::Edges;

use crate::episode::Setting;
use crate::model::{Kind, Model};
use crate::op::{Call, Fd, Op, OTHER, RO, RW};
use crate::pair;

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
    (50, |g| g.fallocate()),
    (30, |g| g.discard()),
    (15, |g| g.allocate()),
    (6, |g| g.seal()),
    (12, |g| g.policy()),
    (25, |g| g.splice()),
    (14, |g| g.vmsplice()),
    (12, |g| g.hold()),
    (24, |g| g.copy()),
    (24, |g| g.remote()),
    (12, |g| g.fork()),
    (8, |g| g.pass()),
    (10, |g| g.reopen()),
    (3, |g| g.sysctl()),
];

/// One in so many operations aims at the state of a file, where it can.
const AIMED: u32 = 6;

/// What makes the operations of a sequence.
pub struct Generator<'a> {
    random: &'a mut fastrand::Rng,
    model: &'a Model,
    edges: &'a Edges,
    pages: usize,
    actor: usize,
}

/// Makes the next operation of a sequence.
pub fn next(random: &mut fastrand::Rng, edges: &mut Edges, model: &Model, setting: &Setting) -> Op {
    let alive: Vec<usize> = (0..model.actors.len())
        .filter(|actor| model.actors[*actor].is_some())
        .collect();
    let actor = alive[random.usize(..alive.len())];
    let mut generator = Generator {
        random,
        model,
        edges,
        pages: setting.pages,
        actor,
    };
    let two = setting.pairs && alive.len() > 1 && generator.one_in(3);
    if two && generator.one_in(2) {
        if let Some(op) = generator.wide() {
            return op;
        }
        generator.actor = actor;
    }
    let call = match two {
        true => generator.simple(),
        false => generator.any(),
    };
    let mut op = Op::new(actor, call);
    if two {
        op.with = generator.beside(&op).map(Box::new);
    }
    edges.note(model, &op);
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
    /// An operation of any kind.
    fn any(&mut self) -> Call {
        match self.one_in(AIMED) {
            true => self.aimed().unwrap_or_else(|| self.weighed()),
            false => self.weighed(),
        }
    }

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

    /// An operation that another may be done beside.
    fn simple(&mut self) -> Call {
        self.pick(BESIDE)(self)
    }

    /// An operation of another actor that does not depend on `op`, if one is found.
    fn beside(&mut self, op: &Op) -> Option<Op> {
        const TRIES: usize = 8;

        for _ in 0..TRIES {
            self.actor = self.other();
            let other = Op::new(self.actor, self.simple());
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

    fn sysctl(&mut self) -> Call {
        let name = self.pick(&["drop_caches", "drop_caches", "compact_memory"]);
        Call::Sysctl { name: name.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{File, Memory, Slot};

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
            position: None,
        };
        let setting = Setting {
            pages: 8,
            actors: 3,
            files: Vec::new(),
            pairs: true,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        let mut edges = Edges::default();
        (0..500)
            .map(|_| next(&mut random, &mut edges, &model, &setting))
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
