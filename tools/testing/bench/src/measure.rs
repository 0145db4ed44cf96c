// SPDX-License-Identifier: GPL-2.0

//! Runs a workload and measures it.

use crate::object::{Made, Object, Prepared, HUGE};
use crate::usage;
use crate::workload::{Workload, COMPARED};
use anyhow::{bail, ensure, Context, Result};
use rmmap_sys::mounts::Loop;
use rmmap_sys::process::{self, Faults};
use rmmap_sys::rustix::fs::{
    fallocate, ftruncate, memfd_create, open, seek, FallocateFlags, MemfdFlags, Mode, OFlags,
    SeekFrom,
};
use rmmap_sys::rustix::io::{read, write};
use rmmap_sys::rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags};
use rmmap_sys::walk::{mark_begin, mark_end};
use rmmap_sys::{fork, End, MapOptions, Mapping, Walk, PAGE_SIZE};
use std::process::Command;
use std::time::{Duration, Instant};

/// Bytes of one read(2) or write(2).
const CHUNK: usize = 1 << 20;

/// The time that deferred work of a workload needs: some grace periods of RCU.
const SETTLE: Duration = Duration::from_millis(100);

/// The cost of one execution of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Nanoseconds, or instructions.
    pub cost: u64,
    /// Pages that the workload handled.
    pub pages: usize,
    /// The increase of the memory in use, bytes, if the workload allocates.
    pub memory: Option<i64>,
    /// Page faults, those in system calls included.
    pub faults: Option<u64>,
    /// The cost of each touch that faulted, if measured fault by fault.
    pub latencies: Vec<u64>,
}

/// Returns whether a workload can run on an object: private memory has no second mapping, memory
/// without a descriptor cannot be read, mmap(2) does not populate a dma-buf, the kernel cannot
/// access secret memory, and a pool of huge pages for the patterns would exceed the guest's memory.
pub fn is_possible(object: Object, workload: Workload) -> bool {
    use Workload::*;
    let needs_file = matches!(
        workload,
        SecondMap | PrivateHole | PrivateData | WriteCall | ReadCall | Free | Fallocate
    );
    match object {
        Object::Anon | Object::AnonHuge => !needs_file,
        Object::SharedAnon => !needs_file && workload != CopyOnWrite,
        Object::Hugetlb => workload.size() == COMPARED && !matches!(workload, WriteCall | Direct),
        Object::Udmabuf => matches!(workload, SeqWrite | SecondMap | Munmap | Free),
        Object::MemfdSecret => {
            workload.walk(1).is_some() && !matches!(workload, Remote | Direct)
                || matches!(workload, SecondMap | Fork | Mremap | Munmap | Free | Tiny)
        }
        Object::Ramfs => workload != Fallocate,
        _ => true,
    }
}

/// Runs the workload once, in fresh memory.
pub fn once(workload: Workload, on: &Prepared) -> Result<Sample> {
    // Let deferred work (RCU, workqueues) of earlier workloads finish before the measurement.
    std::thread::sleep(SETTLE);
    let pages = on.size() / PAGE_SIZE;
    let all = || Walk::new((0..pages as u32).collect());
    use Workload::*;
    if let Some(walk) = workload.walk(pages) {
        return match workload {
            SeqLatency | RandomLatency => latency(on, walk),
            Remote => remote(on, &walk),
            Direct => direct(on, &walk),
            SeqRead => first_touch(on, &Walk::new(walk), Mapping::walk_read),
            _ => first_touch(on, &Walk::new(walk), Mapping::walk_write),
        };
    }
    match workload {
        Populate => populate(on, MapFlags::POPULATE, None),
        Locked => populate(on, MapFlags::LOCKED, None),
        AdvisePopulate => populate(on, MapFlags::empty(), Some(Advice::LinuxPopulateWrite)),
        Fallocate => allocated(on),
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
        Tiny => tiny(on),
        _ => bail!("{workload:?} has no pages"),
    }
}

/// Measures `work`; its return value stays alive.
fn count<T>(work: impl FnOnce() -> Result<T>) -> Result<(u64, T)> {
    let begun = Instant::now();
    mark_begin();
    let value = work()?;
    mark_end();
    Ok((begun.elapsed().as_nanos() as u64, value))
}

/// Measures `work` that allocates; its return value stays alive until memory in use is read.
fn allocate<T>(on: &Prepared, pages: usize, work: impl FnOnce() -> Result<T>) -> Result<Sample> {
    let before = usage::used()?;
    let faults_before = faults();
    let (cost, alive) = count(work)?;
    let faults = faults() - faults_before;
    let memory = usage::used()? as i64 - before as i64;
    drop(alive);
    Ok(Sample {
        memory: on.is_counted().then_some(memory),
        faults: Some(faults),
        ..plain(cost, pages)
    })
}

/// Returns the number of page faults of this thread.
fn faults() -> u64 {
    let Faults { minor, major } = process::faults();
    minor + major
}

/// Returns a sample of work that allocates no significant memory.
fn plain(cost: u64, pages: usize) -> Sample {
    Sample {
        cost,
        pages,
        memory: None,
        faults: None,
        latencies: Vec::new(),
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

/// Writes to pages and measures each fault alone.
fn latency(on: &Prepared, order: Vec<u32>) -> Result<Sample> {
    let pages = order.len();
    let walks: Vec<_> = order
        .into_iter()
        .map(|page| Walk::new(vec![page]))
        .collect();
    // Write them once, so that they do not fault during the measurement.
    let mut costs = vec![1; pages];
    let mut latencies = vec![1; pages];
    latencies.clear();
    // The cost of measuring itself: that of touches that do not fault.
    let local = MapOptions::new(PAGE_SIZE).private().map_anonymous()?;
    let touch = |mapping: &Mapping, walk: &Walk| {
        let begun = Instant::now();
        mapping.walk_write(walk);
        begun.elapsed().as_nanos() as u64
    };
    let first = Walk::new(vec![0]);
    let mut counting: Vec<_> = (0..101).map(|_| touch(&local, &first)).collect();
    counting.sort_unstable();
    let sample = allocate(on, pages, || {
        let made = on.make()?;
        let mapping = on.map(&made, MapFlags::empty())?;
        let mut before = faults();
        for (walk, cost) in walks.iter().zip(&mut costs) {
            *cost = touch(&mapping, walk).saturating_sub(counting[50]);
            let after = faults();
            if after > before {
                latencies.push(*cost);
            }
            before = after;
        }
        Ok((mapping, made))
    })?;
    Ok(Sample {
        cost: costs.iter().sum(),
        latencies,
        ..sample
    })
}

/// Writes to pages with process_vm_writev(2), as a debugger may.
fn remote(on: &Prepared, order: &[u32]) -> Result<Sample> {
    allocate(on, order.len(), || {
        let made = on.make()?;
        let mapping = on.map(&made, MapFlags::empty())?;
        for &page in order {
            mapping.write_remotely(page as usize * PAGE_SIZE, &[1])?;
        }
        Ok((mapping, made))
    })
}

/// Reads a disk, which is a file in memory, into pages with O_DIRECT.
fn direct(on: &Prepared, order: &[u32]) -> Result<Sample> {
    let file = memfd_create("rmmap-bench-disk", MemfdFlags::CLOEXEC)?;
    ftruncate(&file, 1 << 20)?;
    // Ignore errors: the driver may be built in, and the next line reports a missing driver.
    let _ = Command::new("modprobe").arg("loop").output();
    let disk = Loop::new(&file).context("no loop device: is the driver loop available?")?;
    let flags = OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC;
    let disk = open(disk.path(), flags, Mode::empty())?;
    allocate(on, order.len(), || {
        let made = on.make()?;
        let mapping = on.map(&made, MapFlags::empty())?;
        for &page in order {
            let read = mapping.pread_into(page as usize * PAGE_SIZE, PAGE_SIZE, &disk, 0)?;
            ensure!(read == PAGE_SIZE, "the disk ends early");
        }
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
    is_resident(&mapping.context("nothing was mapped")?)?;
    Ok(sample)
}

/// Checks that a mapping is populated: MAP_POPULATE does not report failures.
fn is_resident(mapping: &Mapping) -> Result<()> {
    let resident = mapping.mincore(0, mapping.len())?;
    ensure!(
        resident.into_iter().all(|page| page),
        "not all of it was populated"
    );
    Ok(())
}

fn allocated(on: &Prepared) -> Result<Sample> {
    let mut mapping = None;
    let sample = allocate(on, on.size() / PAGE_SIZE, || {
        let made = on.make()?;
        let file = made.file().context("it has no descriptor")?;
        fallocate(&file, FallocateFlags::empty(), 0, on.size() as u64)?;
        drop(file);
        mapping = Some(on.map(&made, MapFlags::POPULATE)?);
        Ok(made)
    })?;
    is_resident(&mapping.context("nothing was mapped")?)?;
    Ok(sample)
}

/// Returns an object that has data in all of its pages, and a mapping of it.
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
    ensure!(end == End::Exited(0), "the child failed: {end:?}");
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
    // mremap(2) moves whole page tables only between addresses with the same offset in 2 MiB.
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

/// Measures the whole life of objects of one page.
fn tiny(on: &Prepared) -> Result<Sample> {
    const TIMES: usize = 256;
    let first = Walk::new(vec![0]);
    let (cost, ()) = count(|| {
        for _ in 0..TIMES {
            let made = on.make()?;
            on.map(&made, MapFlags::empty())?.walk_write(&first);
        }
        Ok(())
    })?;
    Ok(plain(cost, TIMES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_workload_runs_on_what_every_system_has() {
        let on = Object::Memfd.prepare(64 * PAGE_SIZE).unwrap();
        for &workload in Workload::value_variants() {
            // A test has other threads, and loop devices need root.
            if matches!(
                workload,
                Workload::Fork | Workload::CopyOnWrite | Workload::Direct
            ) {
                continue;
            }
            let sample = once(workload, &on).unwrap();
            let pages = match workload {
                Workload::Tiny => 256,
                _ => workload.walk(64).map_or(64, |walk| walk.len()),
            };
            assert_eq!(sample.pages, pages, "{workload:?}");
            assert!(sample.cost > 0, "{workload:?}");
        }
    }

    #[test]
    fn each_fault_has_a_latency() {
        let on = Object::Memfd.prepare(64 * PAGE_SIZE).unwrap();
        let sample = once(Workload::RandomLatency, &on).unwrap();
        assert_eq!(sample.latencies.len(), 16);
        assert!(sample.faults >= Some(16));
    }
}
