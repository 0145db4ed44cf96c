// SPDX-License-Identifier: GPL-2.0

//! `DriverVma`: which VMAs it accepts, and its operations.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};
use kernel_mm::{
    file::ops::FileOperations,
    vm::{
        ops::VmOperations,
        vma::Pfn, //
    }, //
};

/// Minimal mappings: the tables of two such types have the same contents, and may have the same
/// address. Without an operation (`OPS` is false) there is no table at all.
struct Bare<const N: usize, const OPS: bool>;

#[vtable]
impl<const N: usize, const OPS: bool> VmOperations for Bare<N, OPS> {
    type Data = ();
    type Private = ();
    type Kind = Pfn;
    type Atomic = ();

    // The library's own table of operations, which allows everything.
    const USERFAULTFD: bool = OPS;

    fn atomic(data: &()) -> &() {
        data
    }
}

/// Files with such mappings.
struct BareFile<const N: usize, const OPS: bool>;

#[vtable]
impl<const N: usize, const OPS: bool> FileOperations for BareFile<N, OPS> {
    type Data = ();
    type Vm = Bare<N, OPS>;

    fn mmap_prepare(
        _file: &kernel::fs::File,
        _desc: &mut kernel_mm::vm::vm_area_desc::VmAreaDesc<'_, Bare<N, OPS>>,
    ) -> Result {
        Ok(())
    }
}

/// Empty data of a VMA, whose drops are counted.
struct Empty;

/// The number of drops of [`Empty`].
static DROPPED: Atomic<i32> = Atomic::new(0);

impl Drop for Empty {
    fn drop(&mut self) {
        DROPPED.add(1, Relaxed);
    }
}

/// Mappings with such data.
struct EmptyVm;

#[vtable]
impl VmOperations for EmptyVm {
    type Data = ();
    type Private = Empty;
    type Kind = Pfn;
    type Atomic = ();

    fn atomic(data: &()) -> &() {
        data
    }
}

/// Files with such mappings.
struct EmptyFile;

#[vtable]
impl FileOperations for EmptyFile {
    type Data = ();
    type Vm = EmptyVm;

    fn mmap(
        _file: &kernel::fs::File,
        _vma: kernel_mm::vm::new_vma::NewVma<'_, EmptyVm>,
    ) -> Result<Empty> {
        Ok(Empty)
    }
}

#[kernel::macros::kunit_tests(kernel_mm_driver_vma)]
mod tests {
    use super::*;
    use crate::{
        driver::{
            Fixture,
            Mode,
            TestVm, //
        },
        frames, //
    };
    use kernel::page::PAGE_SIZE;
    use kernel_mm::{
        file::{
            anon_inode,
            ops::Hook, //
        },
        kunit::{
            Share,
            UserMapping, //
        },
        vm::vma::DriverVma, //
    };

    /// Returns whether the VMA of a mapping is accepted as one of `V`.
    fn is_of<V: VmOperations>(mapping: &UserMapping) -> Result<bool> {
        mapping.with_vma(0, |vma| Ok(DriverVma::<V>::from_ref(vma).is_some()))
    }

    #[test]
    fn own_vma_is_accepted_with_either_hook() -> Result {
        for hook in [Hook::Mmap, Hook::MmapPrepare] {
            let fixture = Fixture::new(8, hook, Mode::Page)?;
            let mapping = UserMapping::new(&fixture.file, 4, 3, Share::Shared)?;
            mapping.with_vma(1, |vma| {
                let vma = DriverVma::<TestVm>::from_ref(vma).ok_or(ENODEV)?;
                assert_eq!((vma.start(), vma.pages()), (mapping.address(), 4));
                assert_eq!(vma.pgoff(), 3);
                assert!(core::ptr::eq(&*vma.data().seen, &*fixture.seen));
                Ok(())
            })?;
        }
        Ok(())
    }

    #[test]
    fn vma_of_another_driver_is_refused() -> Result {
        let fixture = Fixture::new(8, Hook::MmapPrepare, Mode::Page)?;
        let pages = UserMapping::new(&fixture.file, 4, 0, Share::Shared)?;
        let (file, _seen) = frames::create(Hook::MmapPrepare)?;
        let frames = UserMapping::new(&file, 4, 0, Share::Shared)?;
        assert!(is_of::<TestVm>(&pages)?);
        assert!(!is_of::<frames::FramesVm>(&pages)?);
        assert!(is_of::<frames::FramesVm>(&frames)?);
        assert!(!is_of::<TestVm>(&frames)?);
        Ok(())
    }

    #[test]
    fn vma_of_an_equal_table_is_refused() -> Result {
        let file = anon_inode::create_file::<BareFile<1, true>>(c"[bare]", Hook::MmapPrepare, ())?;
        let mapping = UserMapping::new(&file, 1, 0, Share::Shared)?;
        assert!(is_of::<Bare<1, true>>(&mapping)?);
        assert!(!is_of::<Bare<2, true>>(&mapping)?);
        Ok(())
    }

    #[test]
    fn vma_without_operations_is_nobodys() -> Result {
        let file = anon_inode::create_file::<BareFile<1, false>>(c"[bare]", Hook::MmapPrepare, ())?;
        let mapping = UserMapping::new(&file, 1, 0, Share::Shared)?;
        assert!(!is_of::<Bare<1, false>>(&mapping)?);
        assert!(!is_of::<Bare<2, false>>(&mapping)?);
        assert!(!is_of::<TestVm>(&mapping)?);
        Ok(())
    }

    #[test]
    fn data_without_contents_lives_as_long_as_the_vma() -> Result {
        let file = anon_inode::create_file::<EmptyFile>(c"[empty]", Hook::Mmap, ())?;
        let before = DROPPED.load(Relaxed);
        let mapping = UserMapping::new(&file, 4, 0, Share::Shared)?;
        mapping.with_vma(0, |vma| {
            let vma = DriverVma::<EmptyVm>::from_ref(vma).ok_or(ENODEV)?;
            assert!(vma.private().is_some());
            Ok(())
        })?;
        assert_eq!(DROPPED.load(Relaxed), before);
        // It lives with the VMA, and with each part of it.
        mapping.unmap_part(1, 1)?;
        assert_eq!(DROPPED.load(Relaxed), before);
        drop(mapping);
        assert_eq!(DROPPED.load(Relaxed), before + 1);
        Ok(())
    }

    #[test]
    fn page_that_is_taken_out_is_asked_for_again() -> Result {
        let fixture = Fixture::new(8, Hook::MmapPrepare, Mode::Page)?;
        let mapping = UserMapping::new(&fixture.file, 8, 0, Share::Shared)?;
        for page in 0..8 {
            mapping.write(page * PAGE_SIZE, 1)?;
        }
        assert_eq!(fixture.seen.faults.load(Relaxed), 8);
        mapping.with_vma(0, |vma| {
            let vma = DriverVma::<TestVm>::from_ref(vma).ok_or(ENODEV)?;
            vma.zap(vma.start() + 2 * PAGE_SIZE, 3 * PAGE_SIZE)
        })?;
        // A store calls only fault; a load would also map neighbours.
        for page in 0..8 {
            mapping.write(page * PAGE_SIZE, 2)?;
        }
        assert_eq!(fixture.seen.faults.load(Relaxed), 11);
        assert_eq!(fixture.inode.mapping().nr_pages(), 8);
        Ok(())
    }

    #[test]
    fn range_that_is_not_its_own_is_not_taken_out() -> Result {
        let fixture = Fixture::new(8, Hook::MmapPrepare, Mode::Page)?;
        let mapping = UserMapping::new(&fixture.file, 4, 0, Share::Shared)?;
        mapping.with_vma(0, |vma| {
            let vma = DriverVma::<TestVm>::from_ref(vma).ok_or(ENODEV)?;
            let (start, end) = (vma.start(), vma.end());
            assert_eq!(vma.zap(start - PAGE_SIZE, PAGE_SIZE), Err(EINVAL));
            assert_eq!(vma.zap(start, 5 * PAGE_SIZE), Err(EINVAL));
            assert_eq!(vma.zap(end, PAGE_SIZE), Err(EINVAL));
            assert_eq!(vma.zap(start + 1, PAGE_SIZE), Err(EINVAL));
            assert_eq!(vma.zap(start, 0), Err(EINVAL));
            assert_eq!(
                vma.zap(end - PAGE_SIZE, usize::MAX - PAGE_SIZE + 1),
                Err(EINVAL)
            );
            Ok(())
        })
    }
}
