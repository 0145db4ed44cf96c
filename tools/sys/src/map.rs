// SPDX-License-Identifier: GPL-2.0

//! Builds a [`Mapping`].

use crate::child::has_one_thread;
use crate::mapping::last_error;
use crate::{Errno, Mapping, Result, PAGE_SIZE, PMD_ORDER};
use rustix::mm::{MapFlags, ProtFlags};
use std::ffi::c_void;
use std::fs::File;
use std::os::fd::AsFd;
use std::ptr;

/// `MAP_32BIT` of x86, which rustix leaves out: an address below 2 GiB.
pub const MAP_32BIT: MapFlags = MapFlags::from_bits_retain(0x40);

/// The arguments of `mmap(2)`, all but the descriptor.
///
/// The kernel makes the checks: a length of 0 or an odd offset is passed on. Only `MAP_FIXED` is
/// refused here, since it may replace other memory; [`Mapping::map_over`] offers it.
#[derive(Clone, Copy, Debug)]
pub struct MapOptions {
    pub(crate) hint: usize,
    pub(crate) len: usize,
    pub(crate) prot: ProtFlags,
    pub(crate) flags: MapFlags,
    pub(crate) offset: u64,
}

impl MapOptions {
    /// Makes the arguments of a shared, readable and writable mapping of the object's first `len`
    /// bytes.
    pub fn new(len: usize) -> Self {
        Self {
            hint: 0,
            len,
            prot: ProtFlags::READ | ProtFlags::WRITE,
            flags: MapFlags::SHARED,
            offset: 0,
        }
    }

    /// Makes it a private mapping.
    pub fn private(mut self) -> Self {
        self.flags = self.flags.difference(MapFlags::SHARED) | MapFlags::PRIVATE;
        self
    }

    /// Sets the protection.
    pub fn prot(mut self, prot: ProtFlags) -> Self {
        self.prot = prot;
        self
    }

    /// Makes it readable only.
    pub fn read_only(self) -> Self {
        self.prot(ProtFlags::READ)
    }

    /// Adds flags to `MAP_SHARED` or `MAP_PRIVATE`.
    pub fn flags(mut self, flags: MapFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// Sets all flags, the type included.
    pub fn only_flags(mut self, flags: MapFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Sets the first byte of the object to map.
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Sets the address; without `MAP_FIXED_NOREPLACE` the kernel may choose another.
    pub fn hint(mut self, address: usize) -> Self {
        self.hint = address;
        self
    }

    /// Maps the object of a descriptor.
    ///
    /// # Errors
    ///
    /// Those of `mmap(2)`, and `ENOTSUP` for `MAP_FIXED`.
    pub fn map(&self, fd: impl AsFd) -> Result<Mapping> {
        if self.flags.contains(MapFlags::FIXED) {
            return Err(Errno::NOTSUP);
        }
        // SAFETY: Without MAP_FIXED the kernel picks addresses where nothing is mapped. Should it
        // be too old for MAP_FIXED_NOREPLACE, it takes the address as a hint.
        let start = unsafe { self.mmap(self.hint, self.flags, Some(&fd)) }?;
        let len = self.len.next_multiple_of(self.page_size(Some(fd)));
        // SAFETY: The kernel has just mapped this range for us and nobody else knows of it.
        Ok(unsafe { Mapping::own(start, len) })
    }

    /// Maps memory without an object.
    ///
    /// # Errors
    ///
    /// As for [`MapOptions::map`].
    pub fn map_anonymous(&self) -> Result<Mapping> {
        if self.flags.contains(MapFlags::FIXED) {
            return Err(Errno::NOTSUP);
        }
        // SAFETY: As in `map`.
        let start = unsafe { self.mmap(self.hint, self.flags, None::<&File>) }?;
        let len = self.len.next_multiple_of(self.page_size(None::<&File>));
        // SAFETY: As in `map`.
        Ok(unsafe { Mapping::own(start, len) })
    }

    /// Calls `mmap(2)` with any number as the descriptor, which no library passes on: one that is
    /// not open, or one that the kernel ignores because of `MAP_ANONYMOUS`.
    ///
    /// # Errors
    ///
    /// As for [`MapOptions::map`].
    pub fn map_number(&self, fd: i32) -> Result<Mapping> {
        if self.flags.contains(MapFlags::FIXED) {
            return Err(Errno::NOTSUP);
        }
        let (hint, prot, flags) = (self.hint, self.prot.bits(), self.flags.bits());
        // SAFETY: As in `map`.
        let start =
            unsafe { libc::syscall(libc::SYS_mmap, hint, self.len, prot, flags, fd, self.offset) };
        let start = usize::try_from(start).map_err(|_| last_error())?;
        // SAFETY: As in `map`. A descriptor of huge pages maps more than this, which is a leak.
        Ok(unsafe { Mapping::own(start, self.mapped_len()) })
    }

    /// Maps at exactly the address of [`MapOptions::hint`] with `MAP_FIXED`, where this program has
    /// no mapping; `None` is anonymous memory.
    ///
    /// # Errors
    ///
    /// Those of `mmap(2)`, and `EEXIST` if something is mapped there. While there are other
    /// threads, the error of the first of the two calls that it makes.
    ///
    /// # Panics
    ///
    /// If the address is not that of a page.
    pub fn map_fixed(&self, fd: Option<impl AsFd>) -> Result<Mapping> {
        assert!(
            self.hint % PAGE_SIZE == 0,
            "a fixed mapping begins at a page"
        );
        // Reserve the range first, so that MAP_FIXED replaces only our own mapping.
        let reserved = Self::new(self.len)
            .prot(ProtFlags::empty())
            .only_flags(MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE)
            .hint(self.hint)
            .map_anonymous();
        match reserved {
            Ok(mut mapping) => {
                mapping.map_over(0, self, fd)?;
                Ok(mapping)
            }
            Err(e) if e == Errno::EXIST || !self.is_out_of_reach() || !has_one_thread() => Err(e),
            Err(_) => {
                // SAFETY: The kernel refuses such addresses to this process, as it has just done,
                // and there is no other thread that could change that.
                let start = unsafe { self.mmap(self.hint, self.flags | MapFlags::FIXED, fd) }?;
                // SAFETY: As in `map`.
                Ok(unsafe { Mapping::own(start, self.mapped_len()) })
            }
        }
    }

    /// Returns whether the range is in the part that `vm.mmap_min_addr` usually keeps free, or
    /// reaches past the addresses that the kernel chooses for calls without an address.
    fn is_out_of_reach(&self) -> bool {
        let end = self.hint.checked_add(self.len);
        end.is_none_or(|end| end <= 1 << 16 || end >= 1 << 47)
    }

    /// Returns the size of the pages that the kernel maps. The descriptor decides about huge ones,
    /// or `MAP_HUGETLB` if there is none.
    fn page_size(&self, fd: Option<impl AsFd>) -> usize {
        match fd {
            Some(fd) => huge_page_size(fd).unwrap_or(PAGE_SIZE),
            None if self.flags.contains(MapFlags::HUGETLB) => {
                match (self.flags.bits() >> libc::MAP_HUGE_SHIFT) & libc::MAP_HUGE_MASK as u32 {
                    0 => DEFAULT_HUGE_PAGE,
                    log2 => 1 << log2,
                }
            }
            None => PAGE_SIZE,
        }
    }

    /// Returns the length that the kernel maps: whole pages (of the ordinary size).
    pub(crate) fn mapped_len(&self) -> usize {
        self.len.next_multiple_of(PAGE_SIZE)
    }

    /// Calls `mmap(2)`.
    ///
    /// # Safety
    ///
    /// With `MAP_FIXED` in `flags` the range belongs to the caller.
    pub(crate) unsafe fn mmap(
        &self,
        address: usize,
        flags: MapFlags,
        fd: Option<impl AsFd>,
    ) -> Result<usize> {
        let hint = ptr::without_provenance_mut::<c_void>(address);
        // SAFETY: By this function's contract the call replaces only what belongs to the caller.
        let start = unsafe {
            match fd {
                Some(fd) => rustix::mm::mmap(hint, self.len, self.prot, flags, fd, self.offset),
                None => rustix::mm::mmap_anonymous(hint, self.len, self.prot, flags),
            }
        }?;
        Ok(start as usize)
    }
}

/// The default size of huge pages, unless the kernel's command line sets another.
const DEFAULT_HUGE_PAGE: usize = PAGE_SIZE << PMD_ORDER;

/// Returns the size of the pages of a file of hugetlbfs; `None` for any other file.
fn huge_page_size(fd: impl AsFd) -> Option<usize> {
    /// `HUGETLBFS_MAGIC` of `linux/magic.h`.
    const HUGETLBFS_MAGIC: i64 = 0x9584_58f6;
    let fs = rustix::fs::fstatfs(fd).ok()?;
    (fs.f_type == HUGETLBFS_MAGIC).then_some(fs.f_bsize as usize)
}
