// SPDX-License-Identifier: GPL-2.0

//! Operations on files.

use super::Generator;
use crate::model::Kind;
use crate::op::{Call, RO};
use rmmap_sys::PAGE_SIZE;

impl Generator<'_> {
    pub(super) fn read(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let len = self.bytes(fd.file, 0, self.pages * PAGE_SIZE);
        let lens = self.lens(len);
        let off = (!self.one_in(4)).then_some(off);
        Call::Read { fd, off, lens }
    }

    pub(super) fn write(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let len = self.bytes(fd.file, off, self.pages * PAGE_SIZE / 2);
        let lens = self.lens(len);
        let off = (!self.one_in(5)).then_some(off);
        let seed = self.random.u64(..);
        Call::Write {
            fd,
            off,
            lens,
            seed,
        }
    }

    pub(super) fn read_into(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let (at, len) = self.buffer();
        Call::ReadInto { fd, off, at, len }
    }

    pub(super) fn write_from(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let (mut at, len) = self.buffer();
        if self.one_in(4) {
            // A source that faults at once.
            at = self.gap().unwrap_or(at / PAGE_SIZE) * PAGE_SIZE;
        }
        let len = len.min(self.pages * PAGE_SIZE - at);
        Call::WriteFrom { fd, off, at, len }
    }

    pub(super) fn seek(&mut self) -> Call {
        let fd = self.fd();
        let whence = self.pick(&[0, 0, 1, 2, 3, 3, 3, 4, 4, 4]);
        let off = match whence {
            1 | 2 => -(self.random.i64(0..3 * 4096)),
            _ => self.offset(fd.file) as i64,
        };
        Call::Seek { fd, whence, off }
    }

    pub(super) fn truncate(&mut self) -> Call {
        let mut fd = self.region();
        // A large folio that a pipe holds cannot be split.
        let mut files = self.model.files.iter();
        match files.position(|file| file.held && file.kind == Kind::Region) {
            Some(file) if self.one_in(2) => fd.file = file,
            _ => {}
        }
        let size = match self.random.u32(0..4) {
            0 => self.random.u64(..=(self.pages * PAGE_SIZE) as u64),
            _ => self.offset(fd.file),
        };
        Call::Truncate { fd, size }
    }

    pub(super) fn fallocate(&mut self) -> Call {
        let fd = self.fd();
        let device = self.model.files[fd.file].kind == Kind::Device;
        let off = self.offset(fd.file);
        let len = self.bytes(fd.file, off, self.pages * PAGE_SIZE) as u64;
        let mode = match device {
            true => self.pick(&[0, 1, 3]),
            false => self.pick(&[0, 0, 0, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 2, 0x10, 0x11, 8]),
        };
        Call::Fallocate {
            fd,
            mode,
            off,
            len: if device { len.max(1) } else { len },
        }
    }

    pub(super) fn discard(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let (off, len) = self.whole(fd.file, off);
        Call::Discard { fd, off, len }
    }

    pub(super) fn allocate(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let (off, len) = self.whole(fd.file, off);
        Call::Allocate { fd, off, len }
    }

    /// Mostly whole pages.
    pub(super) fn whole(&mut self, file: usize, off: u64) -> (u64, u64) {
        let len = self.bytes(file, off, self.pages * PAGE_SIZE) as u64;
        match self.one_in(8) {
            true => (off, len),
            false => (off / 4096 * 4096, len.next_multiple_of(4096)),
        }
    }

    pub(super) fn seal(&mut self) -> Call {
        let fd = self.fd();
        let seals = self.pick(&[0x01, 0x02, 0x04, 0x04, 0x08, 0x10, 0x10, 0x06]);
        Call::Seal { fd, seals }
    }

    pub(super) fn policy(&mut self) -> Call {
        let mut fd = self.fd();
        if self.one_in(4) {
            fd.desc = RO;
        }
        let policy = self.random.u32(0..3);
        Call::Policy { fd, policy }
    }

    pub(super) fn splice(&mut self) -> Call {
        let fd = self.fd();
        let off = self.offset(fd.file);
        let len = self.bytes(fd.file, off, 8 * PAGE_SIZE).max(1);
        let seed = self.random.u64(..);
        match self.one_in(2) {
            true => Call::SpliceOut { fd, off, len },
            false => Call::SpliceIn { fd, off, len, seed },
        }
    }

    pub(super) fn vmsplice(&mut self) -> Call {
        let (at, len) = self.buffer();
        Call::Vmsplice {
            at,
            len: len.min(8 * PAGE_SIZE),
        }
    }

    pub(super) fn hold(&mut self) -> Call {
        match self.one_in(2) {
            true => {
                let (at, len) = self.buffer();
                Call::Hold {
                    at,
                    len: len.min(4 * PAGE_SIZE),
                }
            }
            false => Call::Release {},
        }
    }

    pub(super) fn copy(&mut self) -> Call {
        let (from, to) = (self.fd(), self.fd());
        let (off, to_off) = (self.offset(from.file), self.offset(to.file));
        let len = self.bytes(from.file, off, 12 * PAGE_SIZE).max(1);
        match self.one_in(2) {
            true => Call::SendFile { from, off, to, len },
            false => Call::CopyRange {
                from,
                off,
                to,
                to_off,
                len,
            },
        }
    }

    pub(super) fn remote(&mut self) -> Call {
        let of = self.other();
        let (at, len) = self.buffer();
        let seed = self.random.u64(..);
        match self.one_in(2) {
            true => Call::Peek { of, at, len },
            false => Call::Poke { of, at, len, seed },
        }
    }

    pub(super) fn pass(&mut self) -> Call {
        Call::Pass {
            fd: self.fd(),
            to: self.other(),
        }
    }

    pub(super) fn reopen(&mut self) -> Call {
        let fd = self.region();
        let flags = self.pick(&[2, 2, 2, 2 | 0o2000, 2 | 0o1000]);
        Call::Reopen {
            file: fd.file,
            flags,
        }
    }
}
