// SPDX-License-Identifier: GPL-2.0

//! The driver under test: files of a few pages, which count the calls of their operations and
//! answer page faults as the test chooses.

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
    cache::{
        address_space::AddressSpace,
        inode::{
            Inode,
            InodeData, //
        },
        zero_page::ZeroPage, //
    },
    file::{
        ops::{
            FileOperations,
            Hook,
            OpenInode, //
        },
        pseudo_fs::PseudoFs, //
    },
    vm::{
        fault::{
            Answer,
            VmFault, //
        },
        map_pages::MapPages,
        new_vma::NewVma,
        ops::VmOperations,
        vm_area_desc::VmAreaDesc,
        vma::Plain, //
    }, //
};

pub(crate) static FS: PseudoFs<Node> = PseudoFs::new::<crate::LocalModule>(c"kernel_mm_kunit");

/// How page faults are answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With the page; a missing one is allocated.
    Page,
    /// With page 0 of the file for every fault.
    WrongPage,
    /// As `Page`, but a private write to a hole gets a page of zeroes to copy.
    CowOfZeroes,
    /// With the page if it is cached; a missing one is allocated, and the fault repeated.
    Retry,
    /// As if there were no memory.
    NoMemory,
}

/// The state that tests check; it outlives the file.
pub(crate) struct Seen {
    pub(crate) mode: Mode,
    pub(crate) faults: Atomic<i32>,
    pub(crate) populates: Atomic<i32>,
    pub(crate) map_pages: Atomic<i32>,
    pub(crate) hooks: Atomic<i32>,
    pub(crate) removed: Atomic<i32>,
    pub(crate) dropped: Atomic<i32>,
}

/// The data of an inode.
pub(crate) struct Node {
    pub(crate) seen: Arc<Seen>,
}

/// Largest size that ftruncate(2) may set.
pub(crate) const MAX_SIZE: u64 = 1 << 20;

impl InodeData for Node {
    fn may_resize(&self, size: u64) -> Result {
        if size > MAX_SIZE {
            return Err(EFBIG);
        }
        Ok(())
    }

    fn pages_removed(&self, pages: usize) {
        self.seen.removed.add(pages as i32, Relaxed);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.seen.dropped.add(1, Relaxed);
    }
}

/// Files of the driver.
pub(crate) struct TestFile;

#[vtable]
impl FileOperations for TestFile {
    type Data = ARef<Inode<Node>>;
    type Vm = TestVm;

    fn mmap(_file: &File, vma: NewVma<'_, TestVm>) -> Result {
        vma.file_data().seen.hooks.add(1, Relaxed);
        refuse_beyond(vma.pgoff(), vma.pages())
    }

    fn mmap_prepare(_file: &File, desc: &mut VmAreaDesc<'_, TestVm>) -> Result {
        desc.file_data().seen.hooks.add(1, Relaxed);
        refuse_beyond(desc.pgoff(), desc.pages())
    }
}

/// The error of the hooks; tests check that mmap(2) returns it.
fn refuse_beyond(pgoff: usize, pages: usize) -> Result {
    if pgoff + pages > 64 {
        return Err(EXDEV);
    }
    Ok(())
}

impl OpenInode for TestFile {
    type Inode = Node;

    fn open(inode: &Inode<Node>) -> Result<ARef<Inode<Node>>> {
        Ok(ARef::from(inode))
    }
}

/// Mappings of the driver.
pub(crate) struct TestVm;

#[vtable]
impl VmOperations for TestVm {
    type Data = ARef<Inode<Node>>;
    type Private = ();
    type Kind = Plain;
    type Atomic = Node;

    fn atomic(inode: &Self::Data) -> &Node {
        inode
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        let inode = vmf.data();
        inode.seen.faults.add(1, Relaxed);
        if !vmf.is_access() {
            inode.seen.populates.add(1, Relaxed);
        }
        let mode = inode.seen.mode;
        let held = vmf.invalidate_lock_shared(inode.mapping());
        if vmf.pgoff() >= inode.mapping().size_pages() {
            return vmf.sigbus();
        }
        let index = if mode == Mode::WrongPage {
            0
        } else {
            vmf.pgoff()
        };
        if let Some(folio) = inode.mapping().lock_folio(index) {
            return vmf.locked(folio);
        }
        let vmf = match vmf.into_cow() {
            Ok(cow) if mode == Mode::CowOfZeroes => match ZeroPage::new() {
                Ok(page) => return cow.copy_of(page),
                Err(_) => return cow.into_fault().no_memory(),
            },
            Ok(cow) => cow.into_fault(),
            Err(vmf) => vmf,
        };
        if mode == Mode::NoMemory {
            return vmf.no_memory();
        }
        match AddressSpace::alloc_folio(&held, index, 0) {
            Some(folio) => match AddressSpace::add_folio(&held, folio, index) {
                Ok(folio) if mode == Mode::Retry => match vmf.retry() {
                    Ok(answer) => answer,
                    Err(vmf) => vmf.locked(folio),
                },
                Ok(folio) => vmf.locked(folio),
                Err(failed) => vmf.error(failed.error),
            },
            None => vmf.no_memory(),
        }
    }

    fn map_pages(pages: MapPages<'_, Self>) -> Answer<'_> {
        pages.atomic().seen.map_pages.add(1, Relaxed);
        pages.map_resident()
    }
}

/// A file of `pages` pages, its state, and its inode.
pub(crate) struct Fixture {
    pub(crate) file: ARef<File>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) inode: ARef<Inode<Node>>,
}

impl Fixture {
    /// Creates a file that is mapped by `hook` and answers page faults by `mode`.
    pub(crate) fn new(pages: usize, hook: Hook, mode: Mode) -> Result<Self> {
        let seen = Arc::new(
            Seen {
                mode,
                faults: Atomic::new(0),
                populates: Atomic::new(0),
                map_pages: Atomic::new(0),
                hooks: Atomic::new(0),
                removed: Atomic::new(0),
                dropped: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;
        let size = pages as u64 * kernel::page::PAGE_SIZE as u64;
        let node = KBox::new(Node { seen: seen.clone() }, GFP_KERNEL)?;
        let (file, inode) = FS
            .pin()?
            .create_file::<TestFile>(c"kunit", hook, size, node)?;
        Ok(Self { file, seen, inode })
    }
}
