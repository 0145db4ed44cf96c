// SPDX-License-Identifier: GPL-2.0

//! The actors' processes, as the process sees them that compares.

use crate::actor::{self, Actor, World, MEMFD, RMMAP};
use crate::episode::Setting;
use crate::files::Files;
use anyhow::Result;
use rmmap_sys::arena::Arena;
use rmmap_sys::rustix::event::{poll, PollFd, PollFlags, Timespec};
use rmmap_sys::rustix::thread::{sched_getaffinity, sched_setaffinity, CpuSet};
use rmmap_sys::{Channel, Child, PAGE_SIZE};
use std::os::fd::AsFd;
use std::sync::OnceLock;

/// How long one operation may take, seconds, before it counts as a hang.
const PATIENCE: i64 = 60;

/// An actor's process.
pub struct Process {
    /// Where it takes commands.
    pub channel: Channel,
    /// Its number.
    pub pid: i32,
    /// Of those that this process forked itself.
    pub child: Option<Child>,
}

/// Lets this process, and those that it forks, run on all processors or on one.
pub fn use_processors(all: bool) -> Result<()> {
    static ALL: OnceLock<CpuSet> = OnceLock::new();
    let every = *match ALL.get() {
        Some(every) => every,
        None => {
            let own = sched_getaffinity(None)?;
            ALL.get_or_init(|| own)
        }
    };
    let mut one = CpuSet::new();
    if let Some(first) = (0..CpuSet::MAX_CPU).find(|cpu| every.is_set(*cpu)) {
        one.set(first);
    }
    Ok(sched_setaffinity(None, if all { &every } else { &one })?)
}

/// Waits until something can be read.
pub fn waited(fd: impl AsFd, flags: PollFlags) -> Result<bool> {
    let limit = Timespec {
        tv_sec: PATIENCE,
        tv_nsec: 0,
    };
    Ok(poll(&mut [PollFd::new(&fd, flags)], Some(&limit))? > 0)
}

/// Forks an actor that has nothing mapped.
pub fn first_process(setting: &Setting, files: &Files) -> Result<Process> {
    let pages = setting.pages;
    let child = rmmap_sys::fork(|channel| {
        let world = |number: usize| {
            Ok::<_, anyhow::Error>(World {
                arena: Arena::take(number, pages * PAGE_SIZE)?,
                files: files.descriptors(number)?,
                pipe: actor::pipe()?,
                held: files.pipe(number)?,
            })
        };
        let worlds = world(RMMAP).and_then(|first| Ok([first, world(MEMFD)?]));
        match worlds {
            Ok(worlds) => Actor { worlds }.serve(channel),
            Err(error) => {
                eprintln!("rmmap-fuzz: an actor cannot begin: {error:#}");
                1
            }
        }
    })?;
    let pid = child.pid().as_raw_nonzero().get();
    Ok(Process {
        channel: Channel::from(child.channel().as_fd().try_clone_to_owned()?),
        pid,
        child: Some(child),
    })
}
