// SPDX-License-Identifier: GPL-2.0

//! What a program said about a mapping with madvise(2) and mlock(2), for fault handlers to act on.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h) (`VM_SEQ_READ` and others); C
//! source: `madvise_vma_behavior()` in [`mm/madvise.c`](srctree/mm/madvise.c)

use crate::{
    ffi,
    vma::Vma, //
};
use kernel::mm::virt::flags as vm;

/// In which order the pages are going to be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Nothing was said, or `MADV_NORMAL`.
    Unknown,
    /// `MADV_SEQUENTIAL`: one after the other.
    Sequential,
    /// `MADV_RANDOM`: here and there.
    Random,
}

/// Whether huge pages are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Huge {
    /// Nothing was said.
    Unknown,
    /// `MADV_HUGEPAGE`.
    Wanted,
    /// `MADV_NOHUGEPAGE`, or `MAP_STACK`.
    Unwanted,
}

impl Vma {
    /// Returns in which order the pages are going to be touched.
    pub fn pattern(&self) -> Pattern {
        // madvise(2) sets at most one of the two.
        if self.flags() & ffi::VM_RAND_READ != 0 {
            Pattern::Random
        } else if self.flags() & ffi::VM_SEQ_READ != 0 {
            Pattern::Sequential
        } else {
            Pattern::Unknown
        }
    }

    /// Returns whether huge pages are wanted.
    pub fn huge(&self) -> Huge {
        if self.flags() & vm::NOHUGEPAGE != 0 {
            Huge::Unwanted
        } else if self.flags() & vm::HUGEPAGE != 0 {
            Huge::Wanted
        } else {
            Huge::Unknown
        }
    }

    /// Is all of it kept in memory: locked, and not only page by page as touched (`MLOCK_ONFAULT`)?
    pub fn is_locked(&self) -> bool {
        self.flags() & ffi::VM_LOCKED != 0 && self.flags() & vm::LOCKONFAULT == 0
    }
}
