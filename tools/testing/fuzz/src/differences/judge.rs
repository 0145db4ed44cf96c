// SPDX-License-Identifier: GPL-2.0

//! What the table of differences asks about an operation.

use super::{Verdict, PROT_READ, SIZE};
use crate::model::{Kind, Mapped, Model, Slot};
use crate::op::{Call, Fd, Op, RO};
use rmmap_sys::{Errno, PAGE_SIZE};

/// Whether some of these pages of an arena may show the device.
pub(super) fn may_be_device(model: &Model, actor: usize, page: usize, pages: usize) -> bool {
    (page..page + pages).any(|page| match model.slot(actor, page) {
        Slot::Free => false,
        Slot::Unknown => true,
        Slot::File(mapped) => model.files[mapped.file].kind == Kind::Device,
    })
}

/// The first page of a range, if it shows the device.
pub(super) fn first_is_device(model: &Model, actor: usize, page: usize) -> Option<&Mapped> {
    match model.slot(actor, page) {
        Slot::File(mapped) if model.files[mapped.file].kind == Kind::Device => Some(mapped),
        _ => None,
    }
}

/// Whether a new mapping may merge with one beside it: of the same file, whose pages continue.
pub(super) fn may_merge(model: &Model, op: &Op) -> bool {
    let Call::Map {
        page,
        pages,
        fd,
        pgoff,
        ..
    } = op.call
    else {
        return false;
    };
    let continues = |at: Option<usize>, index: Option<usize>| match at {
        Some(at) => match model.slot(op.actor, at) {
            Slot::File(mapped) => mapped.file == fd.file && Some(mapped.page) == index,
            Slot::Unknown => true,
            Slot::Free => false,
        },
        None => false,
    };
    continues(page.checked_sub(1), pgoff.checked_sub(1))
        || continues(Some(page + pages), Some(pgoff + pages))
}

/// Whether some of these bytes of an arena lie in a mapping that can be accessed, but not read.
pub(super) fn is_opaque(model: &Model, actor: usize, at: usize, len: usize) -> bool {
    let mut pages = at / PAGE_SIZE..(at + len).div_ceil(PAGE_SIZE);
    pages.any(|page| match model.slot(actor, page) {
        Slot::File(mapped) => mapped.prot & PROT_READ == 0 && mapped.prot != 0,
        Slot::Free => false,
        Slot::Unknown => true,
    })
}

pub(super) fn is_device(model: &Model, fd: Fd) -> bool {
    model.files[fd.file].kind == Kind::Device
}

pub(super) fn only(errno: Errno) -> Option<Verdict> {
    Some(Verdict::Only(-i64::from(errno.raw_os_error())))
}

pub(super) fn end_of_write(model: &Model, op: &Op) -> Option<Verdict> {
    let (fd, off, len) = match &op.call {
        Call::Write { fd, off, lens, .. } => {
            (*fd, off.or(model.position), lens.iter().sum::<usize>())
        }
        Call::SendFile { from, off, to, len } => {
            let source = &model.files[from.file];
            (*to, model.position, source.readable(*off, *len))
        }
        Call::SpliceIn { fd, off, len, .. } | Call::WriteFrom { fd, off, len, .. } => {
            (*fd, Some(*off), *len)
        }
        _ => return None,
    };
    if !is_device(model, fd) || fd.desc == RO || len == 0 {
        return None;
    }
    let size = model.files[fd.file].size;
    // Nobody knows where a write without an offset goes, but for one actor at a time.
    let Some(off) = off else {
        return Some(Verdict::Skip);
    };
    if off + len as u64 <= size {
        return None;
    }
    if off >= size {
        return only(Errno::NOSPC);
    }
    let room = (size - off) as usize;
    let mut call = op.call.clone();
    match &mut call {
        Call::Write { lens, .. } => {
            let mut left = room;
            for len in lens {
                *len = (*len).min(left);
                left -= *len;
            }
        }
        Call::SpliceIn { len, .. } | Call::WriteFrom { len, .. } | Call::SendFile { len, .. } => {
            *len = room;
        }
        _ => return None,
    }
    Some(Verdict::Instead(call))
}

pub(super) fn range_of_ioctl(model: &Model, op: &Op) -> Option<Verdict> {
    let (Call::Discard { fd, off, len } | Call::Allocate { fd, off, len }) = op.call else {
        return None;
    };
    if fd.desc == RO {
        return only(Errno::BADF);
    }
    let size = model.files[fd.file].size;
    let aligned = len > 0 && off % SIZE == 0 && len % SIZE == 0;
    if !aligned || off.saturating_add(len) > size.next_multiple_of(SIZE) {
        return only(Errno::INVAL);
    }
    match op.call {
        Call::Allocate { .. } => Some(Verdict::Instead(Call::Allocate {
            fd,
            off,
            len: len.min(size - off),
        })),
        _ => None,
    }
}
