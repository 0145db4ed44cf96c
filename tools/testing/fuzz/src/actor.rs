// SPDX-License-Identifier: GPL-2.0

//! The actors: processes that do the operations of the parent's commands, in each of two worlds.
//!
//! The worlds differ in what the files are. Each actor has an arena for each world and descriptors
//! of the same number of files in each.

mod memory;

use self::memory::in_arena;
use crate::op::{self, Call, Fd, Op, Outcome, DESCS, OTHER};
use rmmap_sys::arena::{Arena, Part};
use rmmap_sys::rustix::fs::{self, FallocateFlags, OFlags, SealFlags, SeekFrom};
use rmmap_sys::rustix::io::{IoSlice, IoSliceMut};
use rmmap_sys::rustix::mm::{self, MlockAllFlags};
use rmmap_sys::rustix::pipe::{self, PipeFlags, SpliceFlags};
use rmmap_sys::rustix::process::{self, Pid};
use rmmap_sys::rustix::{io as rio, param};
use rmmap_sys::{Channel, Device, Errno, PAGE_SIZE};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

/// The world of regions and the device.
pub const RMMAP: usize = 0;
/// The world of memfds.
pub const MEMFD: usize = 1;
/// The number of worlds.
pub const WORLDS: usize = 2;

/// A command to an actor.
#[derive(Debug, Serialize, Deserialize)]
pub enum Command {
    /// Does an operation in the world of regions, and its counterpart in that of memfds.
    Do {
        /// What regions get.
        op: Op,
        /// What memfds get, unless regions answer with this errno.
        counterpart: Option<(Op, Option<i32>)>,
        /// The process of each actor.
        pids: Vec<i32>,
        /// When to begin ([`now`]), so that another actor begins at the same time.
        at: Option<u64>,
    },
    /// Forks, and sends the channel to the child.
    Fork,
    /// Sends the descriptors of both worlds.
    Send(Fd),
    /// Receives the descriptors of both worlds.
    Receive(Fd),
    /// Ends.
    Exit,
}

/// What an actor answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The outcome in both worlds, where the counterpart was done.
    Done(Outcome, Option<Outcome>),
    /// The process of the child, whose channel follows, or an errno.
    Forked(Result<i32, i32>),
    /// A descriptor was received.
    Received,
}

/// What exists in one world.
#[derive(Debug)]
pub struct World {
    /// The arena.
    pub arena: Arena,
    /// The descriptors of each file.
    pub files: Vec<[Device; DESCS]>,
    /// A pipe that is empty between operations.
    pub pipe: (OwnedFd, OwnedFd),
    /// A pipe that keeps pages.
    pub held: (OwnedFd, OwnedFd),
}

/// The time in microseconds, the same for all processes.
pub fn now() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(0, |time| time.as_micros() as u64)
}

/// Both ends of a pipe of which neither blocks.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?)
}

/// The number of bytes that a pipe holds.
pub const PIPE: usize = 16 * PAGE_SIZE;

/// An actor.
#[derive(Debug)]
pub struct Actor {
    /// Both worlds.
    pub worlds: [World; WORLDS],
}

impl Actor {
    /// Executes the commands of the channel until the last one. Returns the exit status.
    pub fn serve(&mut self, channel: &Channel) -> i32 {
        // The parent may end before this process does.
        let _ = process::set_parent_process_death_signal(None);
        match self.serve_until_exit(channel) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("rmmap-fuzz: an actor failed: {error}");
                1
            }
        }
    }

    fn serve_until_exit(&mut self, channel: &Channel) -> io::Result<()> {
        loop {
            let command = match channel.receive() {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                command => serde_json::from_slice(&command?)?,
            };
            match command {
                Command::Exit => return Ok(()),
                Command::Do {
                    op,
                    counterpart,
                    pids,
                    at,
                } => {
                    while at.is_some_and(|at| now() < at) {
                        std::hint::spin_loop();
                    }
                    let outcome = self.act(RMMAP, &op.call, &pids);
                    let other = match &counterpart {
                        Some((_, Some(errno))) if outcome.ret == -i64::from(*errno) => None,
                        Some((op, _)) => Some(self.act(MEMFD, &op.call, &pids)),
                        None => None,
                    };
                    if let Call::Map { page, pages, .. } = op.call {
                        // A call that fails may leave the range mapped or not.
                        if !outcome.is_ok() || other.as_ref().is_some_and(|other| !other.is_ok()) {
                            let part = part(page, pages);
                            for world in &self.worlds {
                                let _ = world.arena.unmap(part);
                            }
                        }
                    }
                    send(channel, &Answer::Done(outcome, other))?;
                }
                Command::Fork => {
                    let child = rmmap_sys::fork(|channel| self.serve(channel));
                    let child = match child {
                        Ok(child) => child,
                        Err(error) => {
                            let errno = error.raw_os_error().unwrap_or(0);
                            send(channel, &Answer::Forked(Err(errno)))?;
                            continue;
                        }
                    };
                    let pid = child.pid().as_raw_nonzero().get();
                    send(channel, &Answer::Forked(Ok(pid)))?;
                    channel.send_fd(child.channel())?;
                    // It does not end with this process, and nobody but init waits for it.
                    std::mem::forget(child);
                }
                Command::Send(fd) => {
                    for world in &self.worlds {
                        channel.send_fd(&world.files[fd.file][fd.desc])?;
                    }
                }
                Command::Receive(fd) => {
                    for world in &mut self.worlds {
                        world.files[fd.file][fd.desc] = Device::from(channel.receive_fd()?);
                    }
                    send(channel, &Answer::Received)?;
                }
            }
        }
    }

    /// Does one operation in one world.
    fn act(&mut self, number: usize, call: &Call, pids: &[i32]) -> Outcome {
        let world = &mut self.worlds[number];
        match call {
            Call::Reopen { file, flags } => {
                let raw = world.files[*file][op::RW].as_fd().as_raw_fd();
                let path = format!("/proc/self/fd/{raw}");
                match Device::open_path(path, OFlags::from_bits_retain(*flags)) {
                    Ok(new) => {
                        world.files[*file][OTHER] = new;
                        Outcome::default()
                    }
                    Err(error) => Outcome::error(error.raw_os_error()),
                }
            }
            Call::LockAll { flags } if number == RMMAP => {
                outcome(mm::mlockall(MlockAllFlags::from_bits_retain(*flags)))
            }
            Call::UnlockAll {} if number == RMMAP => outcome(mm::munlockall()),
            // It was done for both.
            Call::LockAll { .. } | Call::UnlockAll {} => Outcome::default(),
            Call::Seal { fd, seals } => {
                let fd = &world.files[fd.file][fd.desc];
                outcome(match is_memfd(fd) {
                    false => fd.add_seals(*seals),
                    true => fs::fcntl_add_seals(fd, SealFlags::from_bits_retain(*seals)),
                })
            }
            Call::Policy { fd, policy } => {
                let fd = &world.files[fd.file][fd.desc];
                match is_memfd(fd) {
                    false => outcome(fd.set_policy(*policy)),
                    true => Outcome::default(),
                }
            }
            Call::Discard { fd, off, len } => {
                let fd = &world.files[fd.file][fd.desc];
                let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                outcome(match is_memfd(fd) {
                    false => fd.discard(*off, *len),
                    true => fs::fallocate(fd, mode, *off, *len),
                })
            }
            Call::Allocate { fd, off, len } => {
                let fd = &world.files[fd.file][fd.desc];
                outcome(match is_memfd(fd) {
                    false => fd.allocate(*off, *len),
                    true => fs::fallocate(fd, FallocateFlags::KEEP_SIZE, *off, *len),
                })
            }
            Call::Peek { of, at, len } => {
                let mut buffer = vec![0; *len];
                let part = Part::new(*at, *len);
                let n = pid(pids[*of]).and_then(|pid| world.arena.peek(pid, part, &mut buffer));
                read(n, &buffer)
            }
            Call::Poke { of, at, len, seed } => {
                let buffer = op::bytes(*len, *seed);
                let part = Part::new(*at, *len);
                counted(pid(pids[*of]).and_then(|pid| world.arena.poke(pid, part, &buffer)))
            }
            call if call.is_of_memory() => in_arena(world, call),
            call => on_file(world, call),
        }
    }
}

impl Call {
    /// Whether it needs no descriptor but those of pipes.
    fn is_of_memory(&self) -> bool {
        matches!(
            self,
            Self::Unmap { .. }
                | Self::Protect { .. }
                | Self::Remap { .. }
                | Self::Advise { .. }
                | Self::Lock { .. }
                | Self::Unlock { .. }
                | Self::Sync { .. }
                | Self::Incore { .. }
                | Self::Load { .. }
                | Self::Store { .. }
                | Self::Vmsplice { .. }
                | Self::Hold { .. }
                | Self::Release {}
        )
    }
}

/// `pages` pages of an arena from page `page` on.
fn part(page: usize, pages: usize) -> Part {
    Part::new(page * PAGE_SIZE, pages * PAGE_SIZE)
}

/// Does an operation on files.
fn on_file(world: &World, call: &Call) -> Outcome {
    let file = |fd: &Fd| &world.files[fd.file][fd.desc];
    match call {
        Call::Map {
            page,
            pages,
            prot,
            flags,
            fd,
            pgoff,
        } => {
            let part = part(*page, *pages);
            let off = (pgoff * PAGE_SIZE) as u64;
            outcome(world.arena.map(part, *prot, *flags, file(fd), off))
        }
        Call::Read { fd, off, lens } => {
            let mut buffer = vec![0; lens.iter().sum()];
            let mut rest = buffer.as_mut_slice();
            let mut slices = Vec::new();
            for len in lens {
                let (one, after) = rest.split_at_mut(*len);
                slices.push(IoSliceMut::new(one));
                rest = after;
            }
            let n = match off {
                Some(off) => rio::preadv(file(fd), &mut slices, *off),
                None => rio::readv(file(fd), &mut slices),
            };
            positioned(read(n, &buffer), file(fd), off.is_none())
        }
        Call::Write {
            fd,
            off,
            lens,
            seed,
        } => {
            let buffer = op::bytes(lens.iter().sum(), *seed);
            let mut rest = buffer.as_slice();
            let mut slices = Vec::new();
            for len in lens {
                let (one, after) = rest.split_at(*len);
                slices.push(IoSlice::new(one));
                rest = after;
            }
            let n = match off {
                Some(off) => rio::pwritev(file(fd), &slices, *off),
                None => rio::writev(file(fd), &slices),
            };
            positioned(counted(n), file(fd), off.is_none())
        }
        Call::ReadInto { fd, off, at, len } => counted(world.arena.read(
            file(fd),
            &[Part::new(*at, *len)],
            Some(*off),
        )),
        Call::WriteFrom { fd, off, at, len } => counted(world.arena.write(
            file(fd),
            &[Part::new(*at, *len)],
            Some(*off),
        )),
        Call::Seek { fd, whence, off } => {
            let to = match whence {
                0 => SeekFrom::Start(*off as u64),
                1 => SeekFrom::Current(*off),
                2 => SeekFrom::End(*off),
                3 => SeekFrom::Data(*off as u64),
                _ => SeekFrom::Hole(*off as u64),
            };
            match fs::seek(file(fd), to) {
                Ok(pos) => Outcome {
                    ret: pos as i64,
                    ..Outcome::default()
                },
                Err(error) => Outcome::error(error.raw_os_error()),
            }
        }
        Call::Truncate { fd, size } => outcome(fs::ftruncate(file(fd), *size)),
        Call::Fallocate { fd, mode, off, len } => {
            let mode = FallocateFlags::from_bits_retain(*mode);
            outcome(fs::fallocate(file(fd), mode, *off, *len))
        }
        Call::SpliceOut { fd, off, len } => {
            let mut off = *off;
            let end = &world.pipe.1;
            match pipe::splice(file(fd), Some(&mut off), end, None, *len, splice_flags()) {
                Ok(n) => drained(&world.pipe.0, n),
                Err(error) => Outcome::error(error.raw_os_error()),
            }
        }
        Call::SpliceIn { fd, off, len, seed } => {
            let mut off = *off;
            let mut outcome = counted(rio::write(&world.pipe.1, &op::bytes(*len, *seed)));
            if outcome.is_ok() {
                let end = &world.pipe.0;
                let n = pipe::splice(end, None, file(fd), Some(&mut off), *len, splice_flags());
                outcome = counted(n);
                drained(end, PIPE);
            }
            outcome
        }
        Call::SendFile { from, off, to, len } => {
            let mut off = *off;
            let n = fs::sendfile(file(to), file(from), Some(&mut off), *len);
            positioned(counted(n), file(to), true)
        }
        Call::CopyRange {
            from,
            off,
            to,
            to_off,
            len,
        } => {
            let (mut off, mut to_off) = (*off, *to_off);
            let (source, target) = (file(from), file(to));
            counted(fs::copy_file_range(
                source,
                Some(&mut off),
                target,
                Some(&mut to_off),
                *len,
            ))
        }
        _ => Outcome::error(Errno::NOSYS.raw_os_error()),
    }
}

fn splice_flags() -> SpliceFlags {
    SpliceFlags::NONBLOCK
}

fn pid(pid: i32) -> Result<Pid, Errno> {
    Pid::from_raw(pid).ok_or(Errno::SRCH)
}

/// Sends an answer, or a command.
pub fn send(channel: &Channel, message: &impl Serialize) -> io::Result<()> {
    channel.send(&serde_json::to_vec(message)?)
}

/// Whether a file is a memfd.
fn is_memfd(fd: &Device) -> bool {
    /// `TMPFS_MAGIC` of `linux/magic.h`.
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    // The device's node lies in a devtmpfs, which says the same.
    fs::fstatfs(fd).is_ok_and(|fs| fs.f_type == TMPFS_MAGIC)
        && fs::fstat(fd).is_ok_and(|stat| fs::FileType::from_raw_mode(stat.st_mode).is_file())
}

fn outcome(result: rmmap_sys::Result<()>) -> Outcome {
    counted(result.map(|()| 0))
}

fn counted(result: rmmap_sys::Result<usize>) -> Outcome {
    match result {
        Ok(n) => Outcome {
            ret: n as i64,
            ..Outcome::default()
        },
        Err(error) => Outcome::error(error.raw_os_error()),
    }
}

/// The outcome of a call that reads.
fn read(result: rmmap_sys::Result<usize>, buffer: &[u8]) -> Outcome {
    let data = result.map_or(0, |n| op::hash(&buffer[..n]));
    Outcome {
        data,
        ..counted(result)
    }
}

/// Adds the position of a descriptor, of calls that use it.
fn positioned(outcome: Outcome, fd: &Device, uses: bool) -> Outcome {
    let pos = match uses {
        true => fs::seek(fd, SeekFrom::Current(0)).unwrap_or(0),
        false => 0,
    };
    Outcome { pos, ..outcome }
}

/// Reads at most `len` bytes from a pipe.
fn drained(pipe: &OwnedFd, len: usize) -> Outcome {
    let mut buffer = vec![0; len];
    let mut n = 0;
    while n < len {
        match rio::read(pipe, &mut buffer[n..]) {
            Ok(0) | Err(_) => break,
            Ok(more) => n += more,
        }
    }
    read(Ok(n), &buffer)
}

/// Checks that pages are as large as all of this assumes.
pub fn has_usual_pages() -> bool {
    param::page_size() == PAGE_SIZE
}
