// SPDX-License-Identifier: GPL-2.0

//! Operations: what a sequence consists of, and what a replay reads.
//!
//! An operation has all its arguments: it depends on nothing that others did, so that a sequence
//! stays valid without any of them. Numbers of flags, protections and advices are the kernel's.

use rmmap_sys::rustix::fs::FallocateFlags;
use serde::{Deserialize, Serialize};

/// One operation of one actor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Op {
    /// Who does it.
    pub actor: usize,
    /// What is done.
    #[serde(flatten)]
    pub call: Call,
    /// What another actor does at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Box<Op>>,
}

/// A descriptor: which file, and which of an actor's descriptors of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fd {
    /// The file.
    pub file: usize,
    /// [`RW`], [`RO`] or [`OTHER`].
    pub desc: usize,
}

/// A descriptor for reading and writing, which all actors have from their common parent.
pub const RW: usize = 0;
/// A descriptor for reading.
pub const RO: usize = 1;
/// A descriptor for reading and writing that was opened through /proc/self/fd.
pub const OTHER: usize = 2;
/// The number of descriptors that an actor has of each file.
pub const DESCS: usize = 3;

/// A mode of fallocate(2): the size stays.
pub const KEEP_SIZE: u32 = FallocateFlags::KEEP_SIZE.bits();
/// A mode of fallocate(2): a hole, with [`KEEP_SIZE`].
pub const PUNCH_HOLE: u32 = FallocateFlags::PUNCH_HOLE.bits();

/// A system call, or several that make one step. `at` and `len` are bytes within the arena, or
/// pages where the field is called `page` and `pages`; `off` is a byte of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "arguments of system calls, by their usual names"
)]
pub enum Call {
    /// `mmap(2)`, fixed; what it leaves of a range when it fails is unmapped.
    Map {
        page: usize,
        pages: usize,
        prot: i32,
        flags: i32,
        fd: Fd,
        pgoff: usize,
    },
    /// `munmap(2)`.
    Unmap { page: usize, pages: usize },
    /// `mprotect(2)`.
    Protect {
        page: usize,
        pages: usize,
        prot: i32,
    },
    /// `mremap(2)`, in place or to page `to`.
    Remap {
        page: usize,
        old: usize,
        new: usize,
        to: Option<usize>,
        flags: i32,
    },
    /// `madvise(2)`.
    Advise {
        page: usize,
        pages: usize,
        advice: i32,
    },
    /// `mlock2(2)`.
    Lock {
        page: usize,
        pages: usize,
        flags: u32,
    },
    /// `munlock(2)`.
    Unlock { page: usize, pages: usize },
    /// `mlockall(2)`: of the process, both worlds together.
    LockAll { flags: u32 },
    /// `munlockall(2)`.
    UnlockAll {},
    /// `msync(2)`.
    Sync {
        page: usize,
        pages: usize,
        flags: i32,
    },
    /// `mincore(2)`.
    Incore { page: usize, pages: usize },
    /// Loads of eight bytes, `n` at this distance, until one faults.
    Load { at: usize, n: usize, stride: usize },
    /// Stores of eight bytes: `value`, `value + 1`, ...
    Store {
        at: usize,
        n: usize,
        stride: usize,
        value: u64,
    },
    /// `preadv(2)` into a buffer, in pieces; without `off` `readv(2)`.
    Read {
        fd: Fd,
        off: Option<u64>,
        lens: Vec<usize>,
    },
    /// `pwritev(2)` of bytes made from `seed`; without `off` `writev(2)`.
    Write {
        fd: Fd,
        off: Option<u64>,
        lens: Vec<usize>,
        seed: u64,
    },
    /// `preadv(2)` into the arena.
    ReadInto {
        fd: Fd,
        off: u64,
        at: usize,
        len: usize,
    },
    /// `pwritev(2)` from the arena.
    WriteFrom {
        fd: Fd,
        off: u64,
        at: usize,
        len: usize,
    },
    /// `lseek(2)`.
    Seek { fd: Fd, whence: u32, off: i64 },
    /// `ftruncate(2)`.
    Truncate { fd: Fd, size: u64 },
    /// `fallocate(2)`.
    Fallocate {
        fd: Fd,
        mode: u32,
        off: u64,
        len: u64,
    },
    /// `RMMAP_IOC_DISCARD`; on a memfd the fallocate(2) that does the same.
    Discard { fd: Fd, off: u64, len: u64 },
    /// `RMMAP_IOC_ALLOCATE`; on a memfd the fallocate(2) that does the same.
    Allocate { fd: Fd, off: u64, len: u64 },
    /// `RMMAP_IOC_ADD_SEALS` or `F_ADD_SEALS`.
    Seal { fd: Fd, seals: u32 },
    /// `RMMAP_IOC_POLICY`; a memfd has none.
    Policy { fd: Fd, policy: u32 },
    /// `splice(2)` from a file into an empty pipe, which is read.
    SpliceOut { fd: Fd, off: u64, len: usize },
    /// `splice(2)` of bytes made from `seed`, from a pipe into a file.
    SpliceIn {
        fd: Fd,
        off: u64,
        len: usize,
        seed: u64,
    },
    /// `vmsplice(2)` into an empty pipe, which is read.
    Vmsplice { at: usize, len: usize },
    /// `vmsplice(2)` into a pipe that keeps the pages.
    Hold { at: usize, len: usize },
    /// Reads what `Hold` left.
    Release {},
    /// `sendfile(2)` to the position of `to`.
    SendFile {
        from: Fd,
        off: u64,
        to: Fd,
        len: usize,
    },
    /// `copy_file_range(2)`.
    CopyRange {
        from: Fd,
        off: u64,
        to: Fd,
        to_off: u64,
        len: usize,
    },
    /// `process_vm_readv(2)` from another actor.
    Peek { of: usize, at: usize, len: usize },
    /// `process_vm_writev(2)` to another actor.
    Poke {
        of: usize,
        at: usize,
        len: usize,
        seed: u64,
    },
    /// `fork(2)`: the child takes the place of actor `to`, which ends.
    Fork { to: usize },
    /// Sends a descriptor to another actor (`SCM_RIGHTS`), which replaces its own with it.
    Pass { fd: Fd, to: usize },
    /// Replaces the descriptor [`OTHER`] by one opened through /proc/self/fd.
    Reopen { file: usize, flags: u32 },
    /// `/proc/sys/vm/drop_caches` or `compact_memory`, for the whole machine.
    Sysctl { name: String },
}

impl Op {
    /// An operation that nobody else does anything beside.
    pub fn new(actor: usize, call: Call) -> Self {
        let with = None;
        Self { actor, call, with }
    }

    /// The first byte that the operation wrote to `file`; `size` if it wrote none, or at the end.
    pub fn written_from(&self, file: usize, size: u64, outcome: &Outcome) -> u64 {
        let (fd, off) = match &self.call {
            Call::Write { fd, off, .. } => (fd, *off),
            Call::WriteFrom { fd, off, .. } | Call::SpliceIn { fd, off, .. } => (fd, Some(*off)),
            Call::SendFile { to, .. } => (to, None),
            Call::CopyRange { to, to_off, .. } => (to, Some(*to_off)),
            Call::Truncate { fd, size } => (fd, Some(*size)),
            Call::Fallocate { fd, off, len, .. } => (fd, Some(off + len)),
            _ => return size,
        };
        match off {
            _ if fd.file != file => size,
            Some(off) => off,
            None => outcome.pos.saturating_sub(outcome.ret.max(0) as u64),
        }
    }
}

/// How a step ended in one world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What the call returned, or an errno below 0.
    pub ret: i64,
    /// A hash of the bytes that it read.
    pub data: u64,
    /// The position of the descriptor afterwards, of calls that use it.
    pub pos: u64,
    /// The fault that ended a load or a store: signal, `si_code`, address within the arena.
    pub fault: Option<(u8, i32, u64)>,
}

impl Outcome {
    /// A call that failed.
    pub fn error(errno: i32) -> Self {
        Self {
            ret: -i64::from(errno),
            ..Self::default()
        }
    }

    /// Whether the call succeeded.
    pub fn is_ok(&self) -> bool {
        self.ret >= 0
    }
}

/// Fills a buffer with bytes that depend on `seed` and on their place.
pub fn fill(buffer: &mut [u8], seed: u64) {
    let mut word = seed | 1;
    for piece in buffer.chunks_mut(8) {
        word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(seed);
        let bytes = (word ^ (word >> 29)).to_le_bytes();
        piece.copy_from_slice(&bytes[..piece.len()]);
    }
}

/// Bytes that depend on `seed`.
pub fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut buffer = vec![0; len];
    fill(&mut buffer, seed);
    buffer
}

/// A hash of bytes.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    for piece in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 31;
    }
    hash
}
