// SPDX-License-Identifier: GPL-2.0

//! Calls that change the addresses of a [`Mapping`].
//!
//! All of it takes `&mut Mapping`, so nobody can be in the middle of an access.

use crate::child::has_one_thread;
use crate::map::MapOptions;
use crate::mapping::last_error;
use crate::{Errno, Mapping, Result, PAGE_SIZE};
use rustix::mm::{MapFlags, MremapFlags};
use std::ffi::c_void;
use std::ops::Range;
use std::os::fd::AsFd;
use std::ptr;

impl Mapping {
    /// Calls `munmap(2)` on a part, which may include unmapped ranges.
    pub fn unmap(&mut self, offset: usize, len: usize) -> Result<()> {
        let whole = self.address()..self.address() + self.len();
        let part = whole.start + offset..whole.start + offset + len;
        assert!(
            part.end <= whole.end,
            "a part to be unmapped lies in the mapping"
        );
        if self.owned.contains(&part) {
            // One call, since the kernel treats a call over several VMAs as one operation.
            return self.unmap_owned(part);
        }
        let gone = self.owned.iter().collect::<Vec<_>>();
        for range in gone {
            let both = range.start.max(part.start)..range.end.min(part.end);
            if !both.is_empty() {
                self.unmap_owned(both)?;
            }
        }
        Ok(())
    }

    /// Unmaps a range that is ours.
    fn unmap_owned(&mut self, range: Range<usize>) -> Result<()> {
        let start = ptr::with_exposed_provenance_mut(range.start);
        // SAFETY: The range is this mapping's, which forgets it below.
        unsafe { rustix::mm::munmap(start, range.len()) }?;
        self.owned
            .remove(range.start..range.start + range.len().next_multiple_of(PAGE_SIZE));
        Ok(())
    }

    /// Calls `mmap(2)` with `MAP_FIXED` over a part of this mapping; `None` is anonymous memory.
    ///
    /// # Errors
    ///
    /// Those of `mmap(2)`. The kernel may already have unmapped the old part when the call fails.
    /// If it has, or if other threads may have taken the addresses since, this mapping forgets the
    /// part: it is no longer accessible, and any remains of it stay mapped until the process ends.
    pub fn map_over(
        &mut self,
        offset: usize,
        options: &MapOptions,
        fd: Option<impl AsFd>,
    ) -> Result<()> {
        if options.flags.contains(MapFlags::HUGETLB) || fd.as_ref().is_some_and(is_hugetlb) {
            // The kernel would round the length up, past our part.
            return Err(Errno::NOTSUP);
        }
        let range = self.range(offset, options.mapped_len());
        let alone = has_one_thread();
        // SAFETY: The range that is replaced is this mapping's.
        let result = unsafe { options.mmap(range.start, options.flags | MapFlags::FIXED, fd) };
        if result.is_err() && !(alone && is_mapped(&range)) {
            self.owned.remove(range);
        }
        result.map(drop)
    }

    /// Maps over a part of which `hole` was unmapped first, so that the kernel maps over a hole.
    ///
    /// # Errors
    ///
    /// Those of `mmap(2)` and `munmap(2)`; the hole stays, and this mapping keeps the rest as far
    /// as it is still mapped. `EBUSY` if there are other threads, which might map something of
    /// their own into the hole between the two calls; `ENOTSUP` for huge pages.
    pub fn map_over_hole(
        &mut self,
        hole: Range<usize>,
        offset: usize,
        options: &MapOptions,
        fd: Option<impl AsFd>,
    ) -> Result<()> {
        assert!(
            offset <= hole.start && hole.end <= offset + options.mapped_len(),
            "the hole lies in what is mapped over"
        );
        if options.flags.contains(MapFlags::HUGETLB) || fd.as_ref().is_some_and(is_hugetlb) {
            return Err(Errno::NOTSUP);
        }
        if !has_one_thread() {
            return Err(Errno::BUSY);
        }
        let whole = self.range(offset, options.mapped_len());
        let hole = self.range(hole.start, hole.len());
        let start = ptr::with_exposed_provenance_mut(hole.start);
        // SAFETY: The range is this mapping's, which forgets it below if nothing is mapped there.
        // Until then no other thread runs that could map something there.
        unsafe { rustix::mm::munmap(start, hole.len()) }?;
        // SAFETY: The call replaces this mapping's range and the hole, which is still empty.
        let result = unsafe { options.mmap(whole.start, options.flags | MapFlags::FIXED, fd) };
        if result.is_err() {
            for part in [whole.start..hole.start, hole.clone(), hole.end..whole.end] {
                if !is_mapped(&part) {
                    self.owned.remove(part);
                }
            }
        }
        result.map(drop)
    }

    /// Calls `mseal(2)`: from now on the part can be neither unmapped, mapped over nor changed
    /// otherwise, until the process ends.
    pub fn seal(&self, offset: usize, len: usize) -> Result<()> {
        let range = self.range(offset, len);
        // SAFETY: The range is this mapping's. It can no longer be unmapped, which is only a leak.
        match unsafe { libc::syscall(libc::SYS_mseal, range.start, range.len(), 0) } {
            0 => Ok(()),
            _ => Err(last_error()),
        }
    }

    /// Calls `remap_file_pages(2)`: a part shows the object's pages from another one on.
    ///
    /// # Errors
    ///
    /// Those of the call; this mapping then forgets the part, as in [`Mapping::map_over`].
    pub fn remap_file_pages(&mut self, part: Range<usize>, page: usize) -> Result<()> {
        let range = self.range(part.start, part.len());
        let start = ptr::with_exposed_provenance_mut::<c_void>(range.start);
        let (prot, flags) = (0, 0);
        let alone = has_one_thread();
        // SAFETY: The range that is replaced is this mapping's.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_remap_file_pages,
                start,
                range.len(),
                prot,
                page,
                flags,
            )
        };
        if ret == 0 {
            return Ok(());
        }
        let error = last_error();
        if !(alone && is_mapped(&range)) {
            self.owned.remove(range);
        }
        Err(error)
    }

    /// Calls `mmap(2)` on an unmapped part; fails with `EEXIST` if somebody else got it meanwhile.
    ///
    /// The part may also begin at the end: then the mapping grows.
    pub fn fill(
        &mut self,
        offset: usize,
        options: &MapOptions,
        fd: Option<impl AsFd>,
    ) -> Result<()> {
        let start = self.address() + offset;
        assert!(
            offset <= self.len(),
            "filling begins in the mapping or at its end"
        );
        let flags = options.flags | MapFlags::FIXED_NOREPLACE;
        // SAFETY: With NOREPLACE nothing is replaced.
        let got = unsafe { options.mmap(start, flags, fd) }?;
        assert_eq!(got, start, "MAP_FIXED_NOREPLACE gives the address or fails");
        self.owned.insert(start..start + options.mapped_len());
        self.set_range(
            self.address(),
            self.len().max(offset + options.mapped_len()),
        );
        Ok(())
    }

    /// Calls `mremap(2)` on the whole: shrinks, grows in place, or with `MREMAP_MAYMOVE` grows
    /// elsewhere.
    pub fn resize(&mut self, len: usize, flags: MremapFlags) -> Result<()> {
        if flags.difference(MremapFlags::MAYMOVE) != MremapFlags::empty() {
            return Err(Errno::NOTSUP);
        }
        let old = self.range(0, self.len());
        let pointer = ptr::with_exposed_provenance_mut(old.start);
        // SAFETY: The old range is this mapping's, and the kernel picks free addresses for more.
        let new = unsafe { rustix::mm::mremap(pointer, old.len(), len, flags) }? as usize;
        let len = len.next_multiple_of(PAGE_SIZE);
        self.owned.remove(old);
        self.owned.insert(new..new + len);
        self.set_range(new, len);
        Ok(())
    }

    /// Calls `mremap(2)` to move a part to addresses that the kernel chooses; `MREMAP_DONTUNMAP`
    /// keeps the old range.
    ///
    /// An empty part makes a second mapping of the pages from there on, as the kernel offers for
    /// shared mappings.
    pub fn move_part(&mut self, part: Range<usize>, len: usize, keep: bool) -> Result<Mapping> {
        let first = self.range(part.start, part.len().max(PAGE_SIZE));
        let old = first.start..first.start + part.len();
        let pointer = ptr::with_exposed_provenance_mut::<c_void>(old.start);
        let mut flags = MremapFlags::MAYMOVE;
        flags.set(MremapFlags::DONTUNMAP, keep);
        // With DONTUNMAP the kernel checks the fifth argument, which rustix does not pass.
        // SAFETY: The old range is this mapping's, and the kernel picks free addresses: without
        // MREMAP_FIXED the last argument is a hint, and 0 is none.
        let new = unsafe {
            let none = ptr::null_mut::<c_void>();
            libc::syscall(
                libc::SYS_mremap,
                pointer,
                old.len(),
                len,
                flags.bits(),
                none,
            )
        };
        let new = usize::try_from(new).map_err(|_| last_error())?;
        // It may also have shrunk or stayed in place: the new owner has it in any case.
        if new == old.start || !keep {
            self.owned.remove(old);
        }
        // SAFETY: The kernel has just mapped it there, and this mapping has forgotten it.
        Ok(unsafe { Mapping::own(new, len.next_multiple_of(PAGE_SIZE)) })
    }

    /// Calls `mremap(2)` with `MREMAP_FIXED` to move a part over a part of another mapping.
    ///
    /// # Errors
    ///
    /// Those of the call; the target's part may be unmapped then, and the target forgets it as in
    /// [`Mapping::map_over`].
    pub fn move_over(
        &mut self,
        part: Range<usize>,
        target: &mut Mapping,
        offset: usize,
        flags: MremapFlags,
    ) -> Result<()> {
        let old = self.range(part.start, part.len());
        let new = target.range(offset, part.len());
        let flags = flags | MremapFlags::MAYMOVE;
        let (from, to) = (
            ptr::with_exposed_provenance_mut(old.start),
            ptr::with_exposed_provenance_mut(new.start),
        );
        // SAFETY: Both ranges are ours, and nobody is accessing them.
        match unsafe { rustix::mm::mremap_fixed(from, old.len(), new.len(), flags, to) } {
            Ok(_) => {
                // Where memory for splitting the VMA is missing, the old part stays mapped, empty
                // (`unmap_source_vma()` of mm/mremap.c). Another thread may have mapped something
                // there, which is not ours.
                let stays = || has_one_thread() && is_mapped(&old);
                if !flags.contains(MremapFlags::DONTUNMAP) && !stays() {
                    self.owned.remove(old);
                }
                Ok(())
            }
            Err(e) => {
                target.owned.remove(new);
                Err(e)
            }
        }
    }
}

/// Returns whether a descriptor's pages are huge; true if the kernel does not say.
fn is_hugetlb(fd: &impl AsFd) -> bool {
    /// `HUGETLBFS_MAGIC` of `linux/magic.h`.
    const HUGETLBFS_MAGIC: i64 = 0x9584_58f6;
    rustix::fs::fstatfs(fd).map_or(true, |fs| fs.f_type == HUGETLBFS_MAGIC)
}

/// Returns whether something is mapped at each address of a range.
fn is_mapped(range: &Range<usize>) -> bool {
    let start = ptr::without_provenance_mut(range.start);
    // SAFETY: With MS_ASYNC the call looks for holes and does nothing else.
    unsafe { libc::msync(start, range.len(), libc::MS_ASYNC) == 0 }
}
