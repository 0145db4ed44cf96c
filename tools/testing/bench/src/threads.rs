// SPDX-License-Identifier: GPL-2.0

//! Workloads of several threads, measured in time and compared within one run.

use crate::object::{Object, Prepared};
use crate::record::{init_on_alloc, median, Record, Unit};
use crate::workload::COMPARED;
use anyhow::{ensure, Context, Result};
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::{MapOptions, Walk, PAGE_SIZE};
use std::sync::Barrier;
use std::time::Instant;

/// Objects that are measured.
pub const OBJECTS: &[Object] = &[
    Object::Rmmap,
    Object::RmmapNever,
    Object::Memfd,
    Object::MemfdHuge,
    Object::Anon,
];

/// The name for no object, in records of [`ZEROING`].
pub const NONE: &str = "(none)";
/// The workload that zeroes memory that is already mapped.
pub const ZEROING: &str = "zeroing";

/// Bytes of each object.
const SIZE: usize = 4 * COMPARED;

/// The number of samples of each. One thread and several threads alternate, so that other load
/// affects both.
const TIMES: u32 = 12;

/// The division of the work among the threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One object and one mapping; each thread has a part of it.
    One,
    /// Each thread has an object and a mapping of its own.
    Own,
}

/// The order in which a thread touches its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In ascending order.
    Sequential,
    /// In random order.
    Random,
}

/// Each sharing with each order, and their names in records.
pub const WORKLOADS: &[(&str, Sharing, Order)] = &[
    ("seq-write", Sharing::One, Order::Sequential),
    ("random-write", Sharing::One, Order::Random),
    ("seq-write-own", Sharing::Own, Order::Sequential),
    ("random-write-own", Sharing::Own, Order::Random),
];

/// Measures one workload with one thread and with `threads`; passes each result to `record`.
pub fn compare(
    object: Object,
    (name, sharing, order): (&str, Sharing, Order),
    threads: u32,
    zeroing: f64,
    record: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<()> {
    let available = std::thread::available_parallelism().context("cannot count processors")?;
    ensure!(
        available.get() >= threads as usize,
        "{threads} threads need as many processors: there are {available}"
    );
    let on = object.prepare(SIZE)?;
    let once = |threads| once(&on, sharing, order, threads);
    in_turn(&object.name(), name, threads, zeroing, &once, record)
}

/// Measures the same for threads that zero memory that is already mapped: the speedup of the
/// machine itself.
pub fn compare_zeroing(
    threads: u32,
    zeroing: f64,
    record: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<()> {
    let once = |threads| zero(threads);
    in_turn(NONE, ZEROING, threads, zeroing, &once, record)
}

/// Measures one thread and several in turn, in nanoseconds per page.
fn in_turn(
    object: &str,
    workload: &str,
    threads: u32,
    zeroing: f64,
    once: &dyn Fn(usize) -> Result<f64>,
    record: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<()> {
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..TIMES {
        for (samples, threads) in samples.iter_mut().zip([1, threads]) {
            samples.push(once(threads as usize)?);
        }
    }
    for (samples, threads) in samples.into_iter().zip([1, threads]) {
        record(Record {
            object: object.to_owned(),
            workload: workload.to_owned(),
            size: SIZE as u64,
            threads,
            unit: Unit::Nanoseconds,
            pages: (SIZE / PAGE_SIZE) as u64,
            per_page: median(&samples),
            zeroing,
            init_on_alloc: init_on_alloc(),
            memory: None,
            faults: None,
            latency: None,
            samples,
            places: Vec::new(),
        })?;
    }
    Ok(())
}

/// Zeroes as many pages as an object has, in memory that is already mapped; returns nanoseconds per
/// page.
fn zero(threads: usize) -> Result<f64> {
    /// Pages that a thread zeroes repeatedly.
    const PAGES: usize = 64;
    let pages = SIZE / PAGE_SIZE;
    let mappings = (0..threads)
        .map(|_| {
            let options = MapOptions::new(PAGES * PAGE_SIZE).private();
            Ok(options.flags(MapFlags::LOCKED).map_anonymous()?)
        })
        .collect::<Result<Vec<_>>>()?;
    let rounds = pages / threads / PAGES;
    Ok(together(&mappings, |mapping| {
        for _ in 0..rounds {
            mapping.zero_pages(PAGES);
        }
    }) / (rounds * threads * PAGES) as f64)
}

/// Runs `work` in one thread for each of `parts`; returns the nanoseconds from the moment all of
/// them are ready until the last one is done.
fn together<T: Sync>(parts: &[T], work: impl Fn(&T) + Sync) -> f64 {
    let ready = Barrier::new(parts.len() + 1);
    let mut begun = Instant::now();
    std::thread::scope(|scope| {
        for part in parts {
            let (ready, work) = (&ready, &work);
            scope.spawn(move || {
                ready.wait();
                work(part);
            });
        }
        ready.wait();
        begun = Instant::now();
    });
    begun.elapsed().as_nanos() as f64
}

/// Runs a workload once; returns nanoseconds per page. The total work is the same for any number of
/// threads.
fn once(on: &Prepared, sharing: Sharing, order: Order, threads: usize) -> Result<f64> {
    let pages = on.size() / PAGE_SIZE;
    let part = pages / threads;
    let objects = match sharing {
        Sharing::One => 1,
        Sharing::Own => threads,
    };
    let mappings: Vec<_> = (0..objects)
        .map(|_| {
            let made = on.make()?;
            Ok((on.map(&made, MapFlags::empty())?, made))
        })
        .collect::<Result<_>>()?;
    let walks: Vec<Walk> = (0..threads)
        .map(|thread| {
            let first = match sharing {
                Sharing::One => thread * part,
                Sharing::Own => 0,
            };
            let mut order_of = (first as u32..(first + part) as u32).collect::<Vec<_>>();
            if order == Order::Random {
                fastrand::Rng::with_seed(thread as u64).shuffle(&mut order_of);
            }
            Walk::new(order_of)
        })
        .collect();
    let parts: Vec<_> = walks
        .iter()
        .enumerate()
        .map(|(thread, walk)| (&mappings[thread % objects].0, walk))
        .collect();
    let nanoseconds = together(&parts, |(mapping, walk)| mapping.walk_write(walk));
    Ok(nanoseconds / pages as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_a_memfd_or_have_their_own() {
        let on = Object::Memfd.prepare(64 * PAGE_SIZE).unwrap();
        for (_, sharing, order) in WORKLOADS {
            assert!(once(&on, *sharing, *order, 2).unwrap() > 0.0);
        }
        assert!(zero(2).unwrap() > 0.0);
    }
}
