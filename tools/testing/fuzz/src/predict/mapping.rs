// SPDX-License-Identifier: GPL-2.0

//! What calls do to the model that change mappings.

use super::{libc_advice, Effects, MAP_PRIVATE, MREMAP_DONTUNMAP, SIZE};
use crate::model::{Mapped, Model, Slot};
use crate::op::{Call, Op};

impl Model {
    /// A change of what is mapped.
    pub(super) fn map(&mut self, op: &Op, ok: bool, effects: &mut Effects) {
        let actor = op.actor;
        match op.call {
            Call::Map {
                page,
                pages,
                prot,
                flags,
                fd,
                pgoff,
            } => {
                let locks = self.is_locking(actor);
                let filled = flags & (0x2000 | 0x8000) != 0 || locks;
                let shared = flags & 3 != MAP_PRIVATE;
                for (i, slot) in self.slots_mut(actor, page, pages).iter_mut().enumerate() {
                    *slot = match ok {
                        false => Slot::Free,
                        true => Slot::File(Mapped {
                            file: fd.file,
                            page: pgoff + i,
                            shared,
                            prot: prot & 7,
                            copy: None,
                            vague: !shared && filled,
                            no_fork: false,
                        }),
                    };
                }
                if flags & 0x2000 != 0 {
                    if let Some(memory) = &mut self.actors[actor] {
                        memory.locks = true;
                    }
                }
            }
            Call::Unmap { page, pages } if ok => {
                self.slots_mut(actor, page, pages).fill(Slot::Free);
            }
            Call::Unmap { page, pages } => self.forget(actor, page, pages),
            Call::Protect { page, pages, prot } => {
                if !ok {
                    return self.forget(actor, page, pages);
                }
                let locks = self.is_locking(actor);
                for slot in self.slots_mut(actor, page, pages) {
                    if let Slot::File(mapped) = slot {
                        mapped.prot = prot & 7;
                        mapped.vague |= !mapped.shared && locks;
                    }
                }
            }
            Call::Remap {
                page,
                old,
                new,
                to,
                flags,
            } => {
                if !ok {
                    self.forget(actor, page, old);
                    return self.forget(actor, to.unwrap_or(page), new);
                }
                self.remapped(actor, page, old, new, to, flags);
            }
            Call::Advise {
                page,
                pages,
                advice,
            } => self.advised(actor, page, pages, advice, ok, effects),
            Call::Lock { page, pages, .. } => {
                self.locks(actor);
                self.blur(actor, page, pages);
            }
            Call::LockAll { .. } => {
                self.locks(actor);
                self.blur_all(actor);
            }
            _ => {}
        }
    }

    fn locks(&mut self, actor: usize) {
        if let Some(memory) = &mut self.actors[actor] {
            memory.locks = true;
        }
    }

    fn blur_all(&mut self, actor: usize) {
        let pages = self.actors[actor]
            .as_ref()
            .map_or(0, |memory| memory.slots.len());
        self.blur(actor, 0, pages);
    }

    /// A call that changes mappings failed, maybe after it changed some.
    fn forget(&mut self, actor: usize, page: usize, pages: usize) {
        self.slots_mut(actor, page, pages).fill(Slot::Unknown);
    }

    fn remapped(
        &mut self,
        actor: usize,
        page: usize,
        old: usize,
        new: usize,
        to: Option<usize>,
        flags: i32,
    ) {
        let locks = self.is_locking(actor);
        let first = self.slot(actor, page).clone();
        let mut moved: Vec<Slot> = self.slots_mut(actor, page, old.min(new)).to_vec();
        while moved.len() < new {
            moved.push(match (moved.last().unwrap_or(&first), moved.len()) {
                (Slot::File(last), n) => Slot::File(Mapped {
                    page: last.page + usize::from(n > 0),
                    copy: None,
                    vague: last.vague || (!last.shared && locks),
                    ..*last
                }),
                _ => Slot::Unknown,
            });
        }
        let keeps = old == 0 || flags & MREMAP_DONTUNMAP != 0;
        if !keeps {
            self.slots_mut(actor, page, old).fill(Slot::Free);
        } else if old > 0 {
            for slot in self.slots_mut(actor, page, old) {
                if let Slot::File(mapped) = slot {
                    mapped.copy = None;
                    mapped.vague |= !mapped.shared && locks;
                }
            }
        }
        let target = self.slots_mut(actor, to.unwrap_or(page), new);
        for (slot, source) in target.iter_mut().zip(moved) {
            match source {
                // Each mapping of the range moves by itself; gaps do not (remap_move() in
                // mm/mremap.c).
                Slot::Free => {}
                source => *slot = source,
            }
        }
    }

    fn advised(
        &mut self,
        actor: usize,
        page: usize,
        pages: usize,
        advice: i32,
        ok: bool,
        effects: &mut Effects,
    ) {
        match advice {
            libc_advice::DONTNEED | libc_advice::DONTNEED_LOCKED => {
                let locks = self.is_locking(actor);
                for slot in self.slots_mut(actor, page, pages) {
                    match slot {
                        Slot::File(mapped) if !mapped.shared => {
                            mapped.vague = !ok || (mapped.vague && locks);
                            mapped.copy = None;
                        }
                        _ => {}
                    }
                }
            }
            libc_advice::REMOVE => {
                for page in page..page + pages {
                    match self.slot(actor, page) {
                        Slot::File(mapped) if ok => {
                            let (file, off) = (mapped.file, mapped.page as u64 * SIZE);
                            self.punched(file, off, SIZE, effects);
                        }
                        // It may be freed or not.
                        Slot::File(mapped) => {
                            let (file, page) = (mapped.file, mapped.page);
                            effects.learn.push(file);
                            if let Some(touched) = self.files[file].touched.get_mut(page) {
                                *touched = false;
                            }
                        }
                        Slot::Unknown => effects.learn.extend(0..self.files.len()),
                        Slot::Free => {}
                    }
                }
                // A page that is mapped twice in the range is punched and stays absent.
            }
            libc_advice::POPULATE_WRITE => self.blur(actor, page, pages),
            libc_advice::GUARD_INSTALL | libc_advice::GUARD_REMOVE => {
                self.forget(actor, page, pages);
            }
            libc_advice::DONTFORK | libc_advice::DOFORK => {
                if !ok {
                    return self.forget(actor, page, pages);
                }
                for slot in self.slots_mut(actor, page, pages) {
                    if let Slot::File(mapped) = slot {
                        mapped.no_fork = advice == libc_advice::DONTFORK;
                    }
                }
            }
            _ => {}
        }
    }
}
