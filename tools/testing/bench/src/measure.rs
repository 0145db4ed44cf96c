// SPDX-License-Identifier: GPL-2.0

//! How each workload is done, and what is counted of it.

use crate::object::{Made, Object, Prepared, HUGE};
use crate::usage;
use crate::workload::Workload;
use anyhow::{ensure, Context, Result};
use rmmap_sys::rustix::fs::{seek, SeekFrom};
use rmmap_sys::rustix::io::{read, write};
use rmmap_sys::rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags};
use rmmap_sys::{fork, End, MapOptions, Mapping, Walk, PAGE_SIZE};
use std::time::{Duration, Instant};

/// Bytes of one read(2) or write(2).
const CHUNK: usize = 1 << 20;

/// How long what a workload left to others needs: some grace periods of RCU.
const SETTLE: Duration = Duration::from_millis(100);

/// What one execution of a workload cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Nanoseconds, or instructions.
    pub cost: u64,
    /// Pages that the workload dealt with.
    pub pages: usize,
    /// Bytes that the system uses more than before, where the workload allocates.
    pub memory: Option<i64>,
}

/// Whether an object can do that: what is private has no second mapping, what has no descriptor
/// cannot be read, and memory that lies in a device's buffer is not populated by mmap(2).
pub fn is_possible(object: Object, workload: Workload) -> bool {
    use Workload::*;
    match object {
        Object::Anon | Object::AnonHuge | Object::DevZero => !matches!(
            workload,
            SecondMap | PrivateHole | PrivateData | WriteCall | ReadCall | Free
        ),
        Object::Hugetlb => workload != WriteCall,
        Object::Udmabuf => matches!(workload, SeqWrite | SecondMap | Munmap | Free),
        _ => true,
    }
}

/// Does the workload once, in fresh memory.
pub fn once(workload: Workload, on: &Prepared) -> Result<Sample> {
    // What earlier work left to others (RCU, work queues) is done now, and not while we count.
    std::thread::sleep(SETTLE);
    let pages = on.size() / PAGE_SIZE;
    let all = || Walk::new((0..pages as u32).collect());
    use Workload::*;
    match workload {
        SeqWrite => first_touch(on, &all(), Mapping::walk_write),
        SeqRead => first_touch(on, &all(), Mapping::walk_read),
        RandomWrite => first_touch(on, &random(pages), Mapping::walk_write),
        StrideWrite => first_touch(
            on,
            &Walk::new((0..pages as u32).step_by(16).collect()),
            Mapping::walk_write,
        ),
        Populate => populate(on, MapFlags::POPULATE, None),
        Locked => populate(on, MapFlags::LOCKED, None),
        AdvisePopulate => populate(on, MapFlags::empty(), Some(Advice::LinuxPopulateWrite)),
        SecondMap => second_map(on, &all()),
        PrivateHole => private(on, &all(), false),
        PrivateData => private(on, &all(), true),
        WriteCall => write_call(on),
        ReadCall => read_call(on),
        Fork => fork_only(on),
        CopyOnWrite => copy_on_write(on, &all()),
        Mremap => move_it(on),
        Munmap => unmap(on),
        Free => free(on),
    }
}

/// A quarter of the pages, each once, in an order that is the same in each run.
fn random(pages: usize) -> Walk {
    let mut order: Vec<u32> = (0..pages as u32).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut order);
    order.truncate((pages / 4).max(1));
    Walk::new(order)
}

/// Counts `work`; what it returns lives on.
fn count<T>(work: impl FnOnce() -> Result<T>) -> Result<(u64, T)> {
    let begun = Instant::now();
    let value = work()?;
    Ok((begun.elapsed().as_nanos() as u64, value))
}

/// Counts `work` that allocates; memory is compared while what it returns is alive.
fn allocate<T>(on: &Prepared, pages: usize, work: impl FnOnce() -> Result<T>) -> Result<Sample> {
    let before = usage::used()?;
    let (cost, alive) = count(work)?;
    let memory = usage::used()? as i64 - before as i64;
    drop(alive);
    Ok(Sample {
        cost,
        pages,
        memory: on.is_counted().then_some(memory),
    })
}

/// A sample of work that allocates nothing to speak of.
fn plain(cost: u64, pages: usize) -> Sample {
    Sample {
        cost,
        pages,
        memory: None,
    }
}

fn first_touch(on: &Prepared, walk: &Walk, touch: fn(&Mapping, &Walk)) -> Result<Sample> {
    allocate(on, walk.len(), || {
        let made = on.make()?;
        let mapping = on.map(&made, MapFlags::empty())?;
        touch(&mapping, walk);
        Ok((mapping, made))
    })
}

fn populate(on: &Prepared, flags: MapFlags, advice: Option<Advice>) -> Result<Sample> {
    let pages = on.size() / PAGE_SIZE;
    let mut mapping = None;
    let sample = allocate(on, pages, || {
        let made = on.make()?;
        let mapped = on.map(&made, flags)?;
        if let Some(advice) = advice {
            mapped.advise(0, on.size(), advice)?;
        }
        mapping = Some(mapped);
        Ok(made)
    })?;
    // MAP_POPULATE does not tell that it failed.
    let resident = mapping
        .context("nothing was mapped")?
        .mincore(0, on.size())?;
    ensure!(
        resident.into_iter().all(|page| page),
        "not all of it was populated"
    );
    Ok(sample)
}

/// An object that has data in all of its pages, and a mapping of it.
fn filled(on: &Prepared) -> Result<(Made, Mapping)> {
    let made = on.make()?;
    let mapping = on.map(&made, MapFlags::POPULATE)?;
    mapping.walk_write(&Walk::new((0..mapping.pages() as u32).collect()));
    Ok((made, mapping))
}

fn second_map(on: &Prepared, walk: &Walk) -> Result<Sample> {
    let (made, _first) = filled(on)?;
    let (cost, _second) = count(|| {
        let second = on.map(&made, MapFlags::empty())?;
        second.walk_read(walk);
        Ok(second)
    })?;
    Ok(plain(cost, walk.len()))
}

fn private(on: &Prepared, walk: &Walk, data: bool) -> Result<Sample> {
    let made = match data {
        true => filled(on)?.0,
        false => on.make()?,
    };
    allocate(on, walk.len(), || {
        let mapping = on.map_privately(&made, MapFlags::empty())?;
        mapping.walk_write(walk);
        Ok(mapping)
    })
}

fn write_call(on: &Prepared) -> Result<Sample> {
    let data = vec![1; CHUNK.min(on.size())];
    allocate(on, on.size() / PAGE_SIZE, || {
        let made = on.make()?;
        let file = made.file().context("it has no descriptor")?;
        let mut left = on.size();
        while left > 0 {
            left -= write(&file, &data[..left.min(data.len())])?;
        }
        drop(file);
        Ok(made)
    })
}

fn read_call(on: &Prepared) -> Result<Sample> {
    let (made, _mapping) = filled(on)?;
    let file = made.file().context("it has no descriptor")?;
    let mut buffer = vec![0; CHUNK.min(on.size())];
    buffer.fill(1);
    seek(&file, SeekFrom::Start(0))?;
    let (cost, bytes) = count(|| {
        let mut bytes = 0;
        while bytes < on.size() {
            let n = read(&file, &mut buffer)?;
            ensure!(n > 0, "the object ends early");
            bytes += n;
        }
        Ok(bytes)
    })?;
    Ok(plain(cost, bytes / PAGE_SIZE))
}

fn fork_only(on: &Prepared) -> Result<Sample> {
    let (_made, mapping) = filled(on)?;
    let (cost, end) = count(|| Ok(fork(|_| 0)?.wait()?))?;
    ensure!(end == End::Exited(0), "the child ended otherwise: {end:?}");
    Ok(plain(cost, mapping.pages()))
}

fn copy_on_write(on: &Prepared, walk: &Walk) -> Result<Sample> {
    let made = on.make()?;
    let mapping = on.map_privately(&made, MapFlags::empty())?;
    mapping.walk_write(walk);
    let mut child = fork(|channel| {
        let begun = Instant::now();
        mapping.walk_write(walk);
        let cost = begun.elapsed().as_nanos() as u64;
        i32::from(channel.send_u64(cost).is_err())
    })?;
    let cost = child.channel().receive_u64()?;
    child.wait()?;
    Ok(plain(cost, walk.len()))
}

fn move_it(on: &Prepared) -> Result<Sample> {
    let (_made, mut mapping) = filled(on)?;
    // Whole tables can be moved only between addresses that lie alike in huge pages.
    let mut target = MapOptions::new(on.size() + HUGE)
        .private()
        .prot(ProtFlags::empty())
        .map_anonymous()?;
    let gap = (mapping.address() % HUGE + HUGE - target.address() % HUGE) % HUGE;
    let (cost, ()) =
        count(|| Ok(mapping.move_over(0..on.size(), &mut target, gap, MremapFlags::empty())?))?;
    Ok(plain(cost, on.size() / PAGE_SIZE))
}

fn unmap(on: &Prepared) -> Result<Sample> {
    let (_made, mapping) = filled(on)?;
    let pages = mapping.pages();
    let (cost, ()) = count(|| {
        drop(mapping);
        Ok(())
    })?;
    Ok(plain(cost, pages))
}

fn free(on: &Prepared) -> Result<Sample> {
    let (made, mapping) = filled(on)?;
    drop(mapping);
    let (cost, ()) = count(|| {
        drop(made);
        Ok(())
    })?;
    Ok(plain(cost, on.size() / PAGE_SIZE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_workload_runs_on_what_every_system_has() {
        for object in [Object::Memfd] {
            let on = object.prepare(64 * PAGE_SIZE).unwrap();
            for &workload in Workload::value_variants() {
                // There are other threads in a test.
                if matches!(workload, Workload::Fork | Workload::CopyOnWrite) {
                    continue;
                }
                let sample = once(workload, &on).unwrap();
                let pages = match workload {
                    Workload::RandomWrite => 16,
                    Workload::StrideWrite => 4,
                    _ => 64,
                };
                assert_eq!(sample.pages, pages, "{workload:?}");
                assert!(sample.cost > 0, "{workload:?}");
            }
        }
    }

    #[test]
    fn random_walks_repeat_and_take_a_page_once() {
        assert_eq!(format!("{:?}", random(64)), format!("{:?}", random(64)));
        assert_eq!(random(64).len(), 16);
    }
}
