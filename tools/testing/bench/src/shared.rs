// SPDX-License-Identifier: GPL-2.0

//! Faults of many threads at a time, for an emulator that counts accesses to cache lines that
//! processors share (`plugin/count.c`). The emulator counts between the marks; this code counts
//! nothing.

use crate::object::{room, Made, Object, HUGE};
use crate::record::{init_on_alloc, Record, Unit};
use anyhow::{ensure, Context, Result};
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::rustix::thread::{sched_setaffinity, CpuSet};
use rmmap_sys::walk::{mark_begin, mark_end};
use rmmap_sys::{Errno, Mapping, Walk, PAGE_SIZE};
use std::sync::Barrier;
use std::time::Duration;

/// The numbers of threads. Each thread runs on a processor of its own.
pub const THREADS: &[usize] = &[2, 4, 8, 16];

/// Returns the number of processors that a run needs.
pub fn processors() -> u32 {
    THREADS.iter().max().map_or(1, |&threads| threads as u32)
}

/// Objects that are measured.
pub const OBJECTS: &[Object] = &[Object::Rmmap, Object::Memfd, Object::Anon];

/// The time that deferred freeing needs, on slow processors.
const SETTLE: Duration = Duration::from_secs(1);

/// The part of each thread, aligned to a page table's span, bytes. The thread touches a quarter of
/// its pages.
const PART: usize = 2 * HUGE;

/// The mappings that the threads touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Parts of one mapping.
    One,
    /// One mapping for each thread, of an object of its own.
    Own,
    /// The same, mapped privately: pages are copied from holes.
    PrivateHole,
}

/// Each way, and its name in records.
pub const WORKLOADS: &[(&str, Way)] = &[
    ("random-write", Way::One),
    ("random-write-own", Way::Own),
    ("private-hole-own", Way::PrivateHole),
];

/// Runs each workload once unwatched and once watched; passes a record without a cost to `record`.
pub fn run(objects: &[Object], record: &mut dyn FnMut(Record, bool) -> Result<()>) -> Result<()> {
    for &object in OBJECTS {
        if !objects.is_empty() && !objects.contains(&object) {
            continue;
        }
        for &(name, way) in WORKLOADS {
            for &threads in THREADS {
                eprintln!("rmmap: {threads} threads: {} {name}", object.name());
                for is_watched in [false, true] {
                    once(object, way, threads, is_watched)
                        .with_context(|| format!("{} {name} of {threads}", object.name()))?;
                }
                let pages = threads * PART / PAGE_SIZE / 4;
                record(
                    Record {
                        object: object.name(),
                        workload: name.to_owned(),
                        size: PART as u64,
                        threads: threads as u32,
                        unit: Unit::Accesses,
                        pages: pages as u64,
                        per_page: 0.0,
                        zeroing: 0.0,
                        init_on_alloc: init_on_alloc(),
                        memory: None,
                        faults: None,
                        latency: None,
                        samples: Vec::new(),
                        places: Vec::new(),
                    },
                    object.is_ours(),
                )?;
            }
        }
    }
    Ok(())
}

fn once(object: Object, way: Way, threads: usize, is_watched: bool) -> Result<()> {
    let objects = if way == Way::One { 1 } else { threads };
    let size = threads / objects * PART;
    let mut on = object.prepare(size)?;
    // A gap of a page table's span, so that mappings neither merge nor share a page table.
    let apart = size + HUGE;
    let first = room(objects * apart)?;
    let mut map = |number: usize| -> Result<(Mapping, Made)> {
        on.place(first + number * apart);
        let made = on.make()?;
        let mapping = match way {
            Way::PrivateHole => on.map_privately(&made, MapFlags::empty())?,
            _ => on.map(&made, MapFlags::empty())?,
        };
        ensure!(mapping.address() % HUGE == 0, "the hint was not used");
        Ok((mapping, made))
    };
    let mappings = (0..objects).map(&mut map).collect::<Result<Vec<_>>>()?;
    let work = |thread: usize| {
        let begin = if objects == 1 { thread * PART } else { 0 } / PAGE_SIZE;
        let mut order: Vec<_> = (begin as u32..(begin + PART / PAGE_SIZE) as u32).collect();
        fastrand::Rng::with_seed(thread as u64).shuffle(&mut order);
        order.truncate(order.len() / 4);
        (&mappings[thread % objects].0, Walk::new(order))
    };
    let work: Vec<_> = (0..threads).map(work).collect();
    let ready = Barrier::new(threads + 1);
    let done: Result<Vec<()>, Errno> = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (thread, (mapping, walk)) in work.iter().enumerate() {
            let ready = &ready;
            running.push(scope.spawn(move || {
                let pinned = pin(thread);
                ready.wait();
                pinned.map(|()| mapping.walk_write(walk))
            }));
        }
        if is_watched {
            // Let deferred work (RCU, workqueues) of the last run finish first.
            std::thread::sleep(SETTLE);
            mark_begin();
        }
        ready.wait();
        let ends = running.into_iter().map(|thread| thread.join());
        let ends: Vec<_> = ends.collect();
        if is_watched {
            mark_end();
        }
        let panicked = Err(Errno::INTR);
        ends.into_iter()
            .map(|end| end.unwrap_or(panicked))
            .collect()
    });
    done.context("a thread has no processor of its own")?;
    Ok(())
}

/// Pins this thread to this processor.
fn pin(processor: usize) -> Result<(), Errno> {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_touch_every_kind_of_object() {
        let available = std::thread::available_parallelism().unwrap().get();
        for &(_, way) in WORKLOADS {
            once(Object::Memfd, way, available.min(2), false).unwrap();
        }
        assert_eq!(pin(1000), Err(Errno::INVAL));
    }
}
