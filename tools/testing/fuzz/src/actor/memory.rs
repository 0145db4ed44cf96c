// SPDX-License-Identifier: GPL-2.0

//! Operations on memory.

use super::{counted, drained, outcome, part, World, PIPE};
use crate::op::{self, Call, Outcome};
use rmmap_sys::arena::{Arena, Part};
use rmmap_sys::{Errno, Signal, PAGE_SIZE};

/// Does an operation on memory.
pub(super) fn in_arena(world: &World, call: &Call) -> Outcome {
    let arena = &world.arena;
    match call {
        Call::Unmap { page, pages } => outcome(arena.unmap(part(*page, *pages))),
        Call::Protect { page, pages, prot } => outcome(arena.protect(part(*page, *pages), *prot)),
        Call::Remap {
            page,
            old,
            new,
            to,
            flags,
        } => {
            let to = to.map(|to| to * PAGE_SIZE);
            outcome(arena.remap(part(*page, *old), new * PAGE_SIZE, *flags, to))
        }
        Call::Advise {
            page,
            pages,
            advice,
        } => outcome(arena.advise(part(*page, *pages), *advice)),
        Call::Lock { page, pages, flags } => outcome(arena.lock(part(*page, *pages), *flags)),
        Call::Unlock { page, pages } => outcome(arena.unlock(part(*page, *pages))),
        Call::Sync { page, pages, flags } => outcome(arena.sync(part(*page, *pages), *flags)),
        // What is resident differs; the checks after each step compare it to the model.
        Call::Incore { page, pages } => outcome(arena.incore(part(*page, *pages)).map(drop)),
        Call::Load { at, n, stride } => {
            let mut words = Vec::with_capacity(n * 8);
            let mut fault = None;
            for i in 0..*n {
                match arena.load(at + i * stride) {
                    Ok(word) => words.extend(word.to_le_bytes()),
                    Err(error) => {
                        fault = Some(error);
                        break;
                    }
                }
            }
            Outcome {
                ret: (words.len() / 8) as i64,
                data: op::hash(&words),
                pos: 0,
                fault: fault.map(|fault| place(arena, &fault)),
            }
        }
        Call::Store {
            at,
            n,
            stride,
            value,
        } => {
            for i in 0..*n {
                if let Err(fault) = arena.store(at + i * stride, value.wrapping_add(i as u64)) {
                    return Outcome {
                        ret: i as i64,
                        fault: Some(place(arena, &fault)),
                        ..Outcome::default()
                    };
                }
            }
            Outcome {
                ret: *n as i64,
                ..Outcome::default()
            }
        }
        Call::Vmsplice { at, len } => {
            match arena.splice(&world.pipe.1, &[Part::new(*at, *len)], 0) {
                Ok(n) => drained(&world.pipe.0, n),
                Err(error) => Outcome::error(error.raw_os_error()),
            }
        }
        Call::Hold { at, len } => counted(arena.splice(&world.held.1, &[Part::new(*at, *len)], 0)),
        Call::Release {} => drained(&world.held.0, PIPE),
        _ => Outcome::error(Errno::NOSYS.raw_os_error()),
    }
}

/// A fault, with its address relative to the arena.
fn place(arena: &Arena, fault: &rmmap_sys::Fault) -> (u8, i32, u64) {
    let signal = match fault.signal {
        Signal::Bus => 7,
        Signal::Segv => 11,
    };
    let address = fault.address.wrapping_sub(arena.address()) as u64;
    (signal, fault.code, address)
}
