// SPDX-License-Identifier: GPL-2.0

//! Two drivers of memory with a page cache: one with page_mkwrite, and one that answers with huge
//! pages.

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
        }, //
    },
    file::{
        ops::{
            FileOperations,
            GenericOps, //
            Hook,
            OpenInode,
        },
        pseudo_fs::PseudoFs, //
    },
    vm::{
        fault::{
            Answer,
            VmFault, //
        },
        huge_fault::HugeFault,
        mkwrite::MkwriteFault,
        ops::VmOperations,
        vm_area_desc::VmAreaDesc,
        vma::Plain, //
    }, //
};

static FS: PseudoFs<Memory> = PseudoFs::new::<crate::LocalModule>(c"kernel_mm_kunit_memory");

/// The answer to a first store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stores {
    /// Allowed, with the folio unlocked.
    Allow,
    /// Allowed, with the folio locked.
    AllowLocked,
    /// Refused, with the folio unlocked.
    Refuse,
    /// Refused, with the folio locked.
    RefuseLocked,
}

/// The state that tests check.
pub(crate) struct Seen {
    pub(crate) stores: Stores,
    pub(crate) fault: Atomic<i32>,
    pub(crate) huge_fault: Atomic<i32>,
    pub(crate) page_mkwrite: Atomic<i32>,
    /// The page of the last first store.
    pub(crate) stored: Atomic<i32>,
}

/// The data of an inode.
pub(crate) struct Memory(Arc<Seen>);

impl InodeData for Memory {
    fn may_resize(&self, _size: u64) -> Result {
        Ok(())
    }

    fn pages_removed(&self, _pages: usize) {}
}

type MemoryRef = ARef<Inode<Memory>>;

/// Answers with the page; a missing one is allocated.
fn answer<'a, V>(vmf: VmFault<'a, V>) -> Answer<'a>
where
    V: VmOperations<Data = MemoryRef, Kind = Plain>,
{
    vmf.data().0.fault.add(1, Relaxed);
    let mapping = vmf.data().mapping();
    let held = vmf.invalidate_lock_shared(mapping);
    if let Some(folio) = mapping.lock_folio(vmf.pgoff()) {
        return vmf.locked(folio);
    }
    let Some(folio) = AddressSpace::alloc_folio(&held, vmf.pgoff(), 0) else {
        return vmf.no_memory();
    };
    match AddressSpace::add_folio(&held, folio, vmf.pgoff()) {
        Ok(folio) => vmf.locked(folio),
        Err(failed) => vmf.error(failed.error),
    }
}

/// Files with page_mkwrite.
pub(crate) struct StoresFile;

#[vtable]
impl FileOperations for StoresFile {
    type Data = MemoryRef;
    type Vm = StoresVm;

    fn mmap_prepare(_file: &File, _desc: &mut VmAreaDesc<'_, StoresVm>) -> Result {
        Ok(())
    }
}

impl OpenInode for StoresFile {
    type Inode = Memory;

    fn open(inode: &Inode<Memory>) -> Result<MemoryRef> {
        Ok(ARef::from(inode))
    }
}

/// Their mappings.
pub(crate) struct StoresVm;

#[vtable]
impl VmOperations for StoresVm {
    type Data = MemoryRef;
    type Private = ();
    type Kind = Plain;
    type Atomic = Seen;

    fn atomic(memory: &MemoryRef) -> &Seen {
        &memory.0
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        answer(vmf)
    }

    fn page_mkwrite(vmf: MkwriteFault<'_, Self>) -> Answer<'_> {
        let seen: &Seen = &vmf.data().0;
        seen.page_mkwrite.add(1, Relaxed);
        seen.stored.store(vmf.pgoff() as i32, Relaxed);
        match seen.stores {
            Stores::Allow => vmf.allow(),
            Stores::Refuse => vmf.refuse(),
            Stores::AllowLocked | Stores::RefuseLocked => match vmf.lock() {
                Ok(locked) if seen.stores == Stores::AllowLocked => locked.allow(),
                Ok(locked) => locked.refuse(),
                Err(again) => again,
            },
        }
    }
}

/// Files with huge pages where they fit.
pub(crate) struct HugeFile;

#[vtable]
impl FileOperations for HugeFile {
    type Data = MemoryRef;
    type Vm = HugeVm;

    const GENERIC: GenericOps = GenericOps {
        thp_unmapped_area: true,
        ..GenericOps::NONE
    };

    fn mmap_prepare(_file: &File, _desc: &mut VmAreaDesc<'_, HugeVm>) -> Result {
        Ok(())
    }
}

impl OpenInode for HugeFile {
    type Inode = Memory;

    fn open(inode: &Inode<Memory>) -> Result<MemoryRef> {
        Ok(ARef::from(inode))
    }
}

/// Their mappings.
pub(crate) struct HugeVm;

#[vtable]
impl VmOperations for HugeVm {
    type Data = MemoryRef;
    type Private = ();
    type Kind = Plain;
    type Atomic = Seen;

    fn atomic(memory: &MemoryRef) -> &Seen {
        &memory.0
    }

    fn fault(vmf: VmFault<'_, Self>) -> Answer<'_> {
        answer(vmf)
    }

    fn huge_fault(vmf: HugeFault<'_, Self>) -> Answer<'_> {
        vmf.data().0.huge_fault.add(1, Relaxed);
        let mapping = vmf.data().mapping();
        let held = vmf.invalidate_lock_shared(mapping);
        if let Some(folio) = mapping.lock_folio(vmf.first_pgoff()) {
            return vmf.insert_folio(folio);
        }
        let Some(folio) = AddressSpace::alloc_folio(&held, vmf.first_pgoff(), vmf.order()) else {
            return vmf.fallback();
        };
        match AddressSpace::add_folio(&held, folio, vmf.first_pgoff()) {
            Ok(folio) => vmf.insert_folio(folio),
            Err(_) => vmf.fallback(),
        }
    }
}

/// A file, its state, and its inode.
pub(crate) type Created = (ARef<File>, Arc<Seen>, MemoryRef);

/// Creates a file of `pages` pages.
pub(crate) fn create<F: OpenInode<Inode = Memory>>(
    pages: usize,
    stores: Stores,
) -> Result<Created> {
    let seen = Seen {
        stores,
        fault: Atomic::new(0),
        huge_fault: Atomic::new(0),
        page_mkwrite: Atomic::new(0),
        stored: Atomic::new(-1),
    };
    let seen = Arc::new(seen, GFP_KERNEL)?;
    let memory = KBox::new(Memory(seen.clone()), GFP_KERNEL)?;
    let size = (pages * kernel::page::PAGE_SIZE) as u64;
    let (file, inode) = FS
        .pin()?
        .create_file::<F>(c"memory", Hook::MmapPrepare, size, memory)?;
    Ok((file, seen, inode))
}
