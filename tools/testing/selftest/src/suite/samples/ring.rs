// SPDX-License-Identifier: GPL-2.0

//! rust_mm_ring: the kernel writes, and the program reads through its mapping.

use super::sample::{map, open, vmas_of};
use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{check_flags, resident};
use crate::waiting::{until_blocked, POLL};
use crate::{cases, check, check_eq, check_err};
use rmmap_sys::rustix::event::{poll, PollFd, PollFlags, Timespec};
use rmmap_sys::rustix::io::write;
use rmmap_sys::rustix::process::getpid;
use rmmap_sys::{fork, Device, End, Errno, MapOptions, Mapping};
use std::time::{Duration, Instant};

cases! {
    With("rust_mm_ring") rust_mm_ring_delivers_through_the_mapping [] "bytes, head and poll(2) agree, until the reader has taken them";
    With("rust_mm_ring") rust_mm_ring_wraps_and_fills [] "bytes wrap around at the end of the ring, and a full ring takes no more: EAGAIN, not writable";
    With("rust_mm_ring") rust_mm_ring_believes_nothing_of_the_reader [] "an invalid head or tail affects the reader's own view only";
    With("rust_mm_ring") rust_mm_ring_wakes_a_waiting_reader [] "poll(2) returns when another process writes";
    With("rust_mm_ring") rust_mm_ring_maps_shared_and_whole_only [] "private mappings, parts and offsets are EINVAL; each open file has a ring of its own";
}

const NAME: &str = "rust_mm_ring";

/// Bytes that the ring holds.
const SIZE: usize = 4 * P;
/// Pages of a mapping: the words, and the bytes.
const PAGES: usize = 5;
/// Offset of `tail`.
const TAIL: usize = 64;

/// A reader: its mapping.
struct Reader(Mapping);

impl Reader {
    #[track_caller]
    fn new(fd: &Device) -> Result<Self> {
        map(fd, PAGES).map(Self)
    }

    /// Returns the number of bytes that the kernel has written.
    #[track_caller]
    fn head(&self) -> Result<u32> {
        Ok(self.0.read_u64(0)? as u32)
    }

    /// Publishes how many bytes it has consumed.
    #[track_caller]
    fn take_to(&self, tail: u32) -> Result {
        Ok(self.0.write_u64(TAIL, tail.into())?)
    }

    /// Returns the bytes from a count on.
    #[track_caller]
    fn bytes(&self, from: u32, len: usize) -> Result<Vec<u8>> {
        let byte = |n: usize| {
            let mut byte = [0];
            self.0.read(P + (from as usize + n) % SIZE, &mut byte)?;
            Ok(byte[0])
        };
        (0..len).map(byte).collect()
    }
}

/// Returns the events that poll(2) reports within a time.
#[track_caller]
fn ready(fd: &Device, within: Duration) -> Result<PollFlags> {
    let timeout = Timespec {
        tv_sec: within.as_secs() as i64,
        tv_nsec: within.subsec_nanos().into(),
    };
    let mut fds = [PollFd::new(fd, PollFlags::IN | PollFlags::OUT)];
    poll(&mut fds, Some(&timeout))?;
    Ok(fds[0].revents())
}

/// Returns the events that poll(2) reports at once.
#[track_caller]
fn ready_now(fd: &Device) -> Result<(bool, bool)> {
    let flags = ready(fd, Duration::ZERO)?;
    Ok((
        flags.contains(PollFlags::IN),
        flags.contains(PollFlags::OUT),
    ))
}

fn rust_mm_ring_delivers_through_the_mapping(_: &Context) -> Result {
    let fd = open(NAME)?;
    let reader = Reader::new(&fd)?;
    check_eq!(resident(&reader.0)?, PAGES, "pages mapped by the hook");
    check_flags(&reader.0, &["mm", "sh"], &[])?;
    check_eq!((reader.head()?, ready_now(&fd)?), (0, (false, true)));
    check_eq!(write(&fd, b"hello ring")?, 10);
    check_eq!((reader.head()?, ready_now(&fd)?), (10, (true, true)));
    check_eq!(reader.bytes(0, 10)?, b"hello ring");
    reader.take_to(10)?;
    check_eq!(ready_now(&fd)?, (false, true), "poll after all was taken");
    check_eq!(write(&fd, b"more")?, 4);
    check_eq!(reader.bytes(10, 4)?, b"more");
    check_eq!(write(&fd, b"")?, 0);
    check_eq!(reader.head()?, 14);
    Ok(())
}

fn rust_mm_ring_wraps_and_fills(_: &Context) -> Result {
    let fd = open(NAME)?;
    let reader = Reader::new(&fd)?;
    let pattern: Vec<u8> = (0..SIZE + 100).map(|n| (n % 251) as u8).collect();
    check_eq!(write(&fd, &pattern[..SIZE - 6])?, SIZE - 6);
    reader.take_to(SIZE as u32 - 6)?;
    // Across the end of the ring, and more than fits.
    check_eq!(
        write(&fd, &pattern)?,
        SIZE,
        "bytes that an empty ring takes"
    );
    check_eq!(reader.head()?, (2 * SIZE - 6) as u32);
    let got = reader.bytes(SIZE as u32 - 6, SIZE)?;
    let wrong = got.iter().zip(&pattern).position(|(got, want)| got != want);
    check_eq!(wrong, None, "the first byte that differs from the write");
    check_eq!(ready_now(&fd)?, (true, false), "poll of a full ring");
    check_err!(write(&fd, b"x"), Errno::AGAIN);
    reader.take_to(SIZE as u32 - 6 + 3)?;
    check_eq!(ready_now(&fd)?, (true, true));
    check_eq!(write(&fd, b"abcdef")?, 3, "bytes that three places take");
    check_eq!(reader.bytes((2 * SIZE - 6) as u32, 3)?, b"abc");
    Ok(())
}

fn rust_mm_ring_believes_nothing_of_the_reader(_: &Context) -> Result {
    let fd = open(NAME)?;
    let reader = Reader::new(&fd)?;
    check_eq!(write(&fd, b"one")?, 3);
    // The kernel ignores a head that the reader stores.
    reader.0.write_u64(0, 0xdead_beef)?;
    check_eq!(write(&fd, b"two")?, 3);
    check_eq!(reader.head()?, 6);
    check_eq!(reader.bytes(0, 6)?, b"onetwo");
    // A tail before the first byte ever written: the ring counts as full, and nothing is
    // overwritten.
    reader.take_to(7)?;
    check_eq!(ready_now(&fd)?, (true, false));
    check_err!(write(&fd, b"x"), Errno::AGAIN);
    check_eq!(
        (reader.head()?, reader.bytes(0, 6)?),
        (6, b"onetwo".to_vec())
    );
    reader.take_to(6)?;
    check_eq!(ready_now(&fd)?, (false, true));
    Ok(())
}

fn rust_mm_ring_wakes_a_waiting_reader(cx: &Context) -> Result {
    let fd = open(NAME)?;
    let reader = Reader::new(&fd)?;
    let parent = format!("/proc/{}", getpid().as_raw_nonzero());
    let mut child = fork(|_| {
        // Wait until the parent sleeps in poll(2), not for a fixed time.
        let waits = until_blocked(cx, &parent, POLL);
        i32::from(waits.is_err() || write(&fd, b"wake") != Ok(4))
    })?;
    let limit = Duration::from_secs(10).mul_f64(cx.time_scale);
    let timeout = Timespec {
        tv_sec: limit.as_secs() as i64,
        tv_nsec: 0,
    };
    let start = Instant::now();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    check_eq!(
        poll(&mut fds, Some(&timeout))?,
        1,
        "poll of a reader that waits"
    );
    let waited = start.elapsed();
    // At its timeout poll(2) checks once more, whether or not it was woken.
    check!(waited < limit / 2, "poll was not woken for {waited:?}");
    check_eq!(fds[0].revents(), PollFlags::IN);
    check_eq!(reader.bytes(0, 4)?, b"wake");
    check_eq!(child.wait()?, End::Exited(0), "the writer that waited");
    Ok(())
}

fn rust_mm_ring_maps_shared_and_whole_only(_: &Context) -> Result {
    let (fd, other) = (open(NAME)?, open(NAME)?);
    let whole = MapOptions::new(PAGES * P);
    check_err!(whole.private().map(&fd), Errno::INVAL);
    check_err!(MapOptions::new(P).map(&fd), Errno::INVAL);
    check_err!(whole.offset(P as u64).map(&fd), Errno::INVAL);
    check_eq!(vmas_of(NAME)?, []);
    let (mine, theirs) = (Reader::new(&fd)?, Reader::new(&other)?);
    check_eq!(write(&other, b"theirs")?, 6);
    check_eq!((mine.head()?, theirs.head()?), (0, 6));
    check_eq!(ready_now(&fd)?, (false, true));
    Ok(())
}
