// SPDX-License-Identifier: GPL-2.0

//! A driver of page frames with data for each VMA, which counts the calls of its operations.

use kernel::{
    fs::File,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use kernel_mm::{
    file::{
        anon_inode,
        ops::{
            FileOperations,
            Hook, //
        }, //
    },
    vm::{
        fault::{
            Answer,
            VmFault, //
        },
        map_pages::MapPages,
        mkwrite::PfnMkwriteFault,
        new_vma::NewVma,
        ops::{
            Mapped,
            VmOperations, //
        },
        pages::PageBlock,
        vm_area_desc::VmAreaDesc,
        vma::{
            DriverVma,
            OwnVma,
            Pfn, //
        }, //
    }, //
};

/// The state that tests check; it outlives the file.
pub(crate) struct Seen {
    pub(crate) open: Atomic<i32>,
    pub(crate) close: Atomic<i32>,
    pub(crate) mapped: Atomic<i32>,
    pub(crate) may_split: Atomic<i32>,
    pub(crate) fault: Atomic<i32>,
    pub(crate) map_pages: Atomic<i32>,
    pub(crate) pfn_mkwrite: Atomic<i32>,
    /// The number of live data of VMAs.
    pub(crate) data: Atomic<i32>,
    /// Page offset of the mapping that `mapped` or `mmap` saw last.
    pub(crate) pgoff: Atomic<i32>,
    /// Whether `mapped`, splits and stores fail.
    pub(crate) refuse: Atomic<bool>,
}

impl Seen {
    /// Returns the counts of `open`, `close`, `mapped` and `may_split`.
    pub(crate) fn of_vmas(&self) -> [i32; 4] {
        [&self.open, &self.close, &self.mapped, &self.may_split].map(|n| n.load(Relaxed))
    }

    /// Returns the counts of `fault`, `map_pages` and `pfn_mkwrite`.
    pub(crate) fn of_faults(&self) -> [i32; 3] {
        [&self.fault, &self.map_pages, &self.pfn_mkwrite].map(|n| n.load(Relaxed))
    }

    fn check(&self, error: Error) -> Result {
        if self.refuse.load(Relaxed) {
            return Err(error);
        }
        Ok(())
    }
}

/// The data of a file: one page, which all its pages show.
pub(crate) struct Frames {
    page: PageBlock,
    pub(crate) seen: Arc<Seen>,
}

/// The data of a VMA.
pub(crate) struct Tag {
    /// The number of the mapping that it was made for, from 1.
    pub(crate) number: i32,
    seen: Arc<Seen>,
}

impl Tag {
    fn new(frames: &Frames, pgoff: usize) -> Self {
        let seen = frames.seen.clone();
        seen.data.add(1, Relaxed);
        seen.pgoff.store(pgoff as i32, Relaxed);
        Self {
            number: seen.data.load(Relaxed),
            seen,
        }
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        self.seen.data.add(-1, Relaxed);
    }
}

/// Files of the driver.
pub(crate) struct FramesFile;

#[vtable]
impl FileOperations for FramesFile {
    type Data = Frames;
    type Vm = FramesVm;

    fn mmap(_file: &File, vma: NewVma<'_, FramesVm>) -> Result<Tag> {
        Ok(Tag::new(vma.file_data(), vma.pgoff()))
    }

    fn mmap_prepare(_file: &File, _desc: &mut VmAreaDesc<'_, FramesVm>) -> Result {
        Ok(())
    }
}

/// Mappings of the driver.
pub(crate) struct FramesVm;

#[vtable]
impl VmOperations for FramesVm {
    type Data = Frames;
    type Private = Tag;
    type Kind = Pfn;
    type Atomic = Seen;

    fn atomic(frames: &Frames) -> &Seen {
        &frames.seen
    }

    fn open(vma: &OwnVma<Self>) {
        vma.data().seen.open.add(1, Relaxed);
    }

    fn close(vma: &OwnVma<Self>) {
        vma.data().seen.close.add(1, Relaxed);
    }

    fn mapped(frames: &Frames, mapped: Mapped) -> Result<Tag> {
        frames.seen.mapped.add(1, Relaxed);
        frames.seen.check(ENOSPC)?;
        Ok(Tag::new(frames, mapped.pgoff))
    }

    fn may_split(vma: &DriverVma<Self>, _address: usize) -> Result {
        vma.data().seen.may_split.add(1, Relaxed);
        vma.data().seen.check(EBUSY)
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        let frames = vmf.data();
        frames.seen.fault.add(1, Relaxed);
        vmf.insert_pfn(&frames.page, 0)
    }

    fn map_pages(pages: MapPages<'_, Self>) -> Answer<'_> {
        pages.atomic().map_pages.add(1, Relaxed);
        pages.nothing()
    }

    fn pfn_mkwrite(vmf: PfnMkwriteFault<'_, Self>) -> Answer<'_> {
        let seen = &vmf.data().seen;
        seen.pfn_mkwrite.add(1, Relaxed);
        match seen.check(EIO) {
            Ok(()) => vmf.allow(),
            Err(_) => vmf.refuse(),
        }
    }
}

/// Creates a file and its state.
pub(crate) fn create(hook: Hook) -> Result<(ARef<File>, Arc<Seen>)> {
    let seen = Arc::new(
        Seen {
            open: Atomic::new(0),
            close: Atomic::new(0),
            mapped: Atomic::new(0),
            may_split: Atomic::new(0),
            fault: Atomic::new(0),
            map_pages: Atomic::new(0),
            pfn_mkwrite: Atomic::new(0),
            data: Atomic::new(0),
            pgoff: Atomic::new(0),
            refuse: Atomic::new(false),
        },
        GFP_KERNEL,
    )?;
    let frames = Frames {
        page: PageBlock::new(0)?,
        seen: seen.clone(),
    };
    let file = anon_inode::create_file::<FramesFile>(c"[kernel_mm_kunit]", hook, frames)?;
    Ok((file, seen))
}
