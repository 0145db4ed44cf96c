// SPDX-License-Identifier: GPL-2.0

//! The operations of a VMA, and its data.

use kernel::{
    macros::kunit_tests,
    prelude::*, //
};

#[kunit_tests(kernel_mm_vm_ops)]
mod tests {
    use super::*;
    use crate::frames::*;
    use kernel::{
        page::PAGE_SIZE,
        sync::atomic::Relaxed, //
    };
    use kernel_mm::{
        file::ops::Hook,
        kunit::{
            flush_files,
            Share,
            UserMapping, //
        },
        vm::vma::DriverVma, //
    };

    /// Returns the number of the mapping that the data of the VMA at a page was made for; 0 without
    /// data.
    fn number(mapping: &UserMapping, page: usize) -> Result<i32> {
        mapping.with_vma(page, |vma| {
            let vma = DriverVma::<FramesVm>::from_ref(vma).ok_or(ENODEV)?;
            Ok(vma.private().map_or(0, |tag| tag.number))
        })
    }

    #[test]
    fn mapped_makes_the_data_of_the_vma() -> Result {
        let (file, seen) = create(Hook::MmapPrepare)?;
        let mapping = UserMapping::new(&file, 4, 7, Share::Shared)?;
        assert_eq!(seen.of_vmas(), [0, 0, 1, 0]);
        assert_eq!(seen.pgoff.load(Relaxed), 7);
        assert_eq!(number(&mapping, 0)?, 1);
        drop(mapping);
        assert_eq!(seen.of_vmas(), [0, 1, 1, 0]);
        assert_eq!(seen.data.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn mmap_makes_the_data_and_mapped_is_not_called() -> Result {
        let (file, seen) = create(Hook::Mmap)?;
        let mapping = UserMapping::new(&file, 4, 7, Share::Shared)?;
        assert_eq!(seen.of_vmas(), [0, 0, 0, 0]);
        assert_eq!(seen.pgoff.load(Relaxed), 7);
        assert_eq!(number(&mapping, 3)?, 1);
        drop(mapping);
        assert_eq!(seen.of_vmas(), [0, 1, 0, 0]);
        assert_eq!(seen.data.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn mapped_that_fails_leaves_nothing() -> Result {
        let (file, seen) = create(Hook::MmapPrepare)?;
        seen.refuse.store(true, Relaxed);
        let mapping = UserMapping::new(&file, 4, 0, Share::Shared);
        assert_eq!(mapping.err(), Some(ENOSPC));
        // The VMA existed, and is closed without data.
        assert_eq!(seen.of_vmas(), [0, 1, 1, 0]);
        assert_eq!(seen.data.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn split_asks_and_opens_and_shares_the_data() -> Result {
        let (file, seen) = create(Hook::MmapPrepare)?;
        let mapping = UserMapping::new(&file, 6, 0, Share::Shared)?;
        let other = UserMapping::new(&file, 6, 0, Share::Shared)?;
        assert_eq!((number(&mapping, 0)?, number(&other, 0)?), (1, 2));
        mapping.unmap_part(2, 1)?;
        // Two splits add two VMAs, and the middle one is unmapped.
        assert_eq!(seen.of_vmas(), [2, 1, 2, 2]);
        assert_eq!(number(&mapping, 2), Err(ENOENT));
        assert_eq!((number(&mapping, 0)?, number(&mapping, 3)?), (1, 1));
        assert_eq!(seen.data.load(Relaxed), 2);
        mapping.unmap_part(0, 2)?;
        // The rest still has the data.
        assert_eq!(seen.data.load(Relaxed), 2);
        assert_eq!(number(&mapping, 5)?, 1);
        drop(mapping);
        assert_eq!(seen.data.load(Relaxed), 1);
        assert_eq!(number(&other, 5)?, 2);
        drop(other);
        assert_eq!(seen.of_vmas(), [2, 4, 2, 2]);
        assert_eq!(seen.data.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn split_that_is_refused_changes_nothing() -> Result {
        let (file, seen) = create(Hook::MmapPrepare)?;
        let mapping = UserMapping::new(&file, 6, 0, Share::Shared)?;
        mapping.write(2 * PAGE_SIZE, 5)?;
        seen.refuse.store(true, Relaxed);
        assert_eq!(mapping.unmap_part(2, 1), Err(EBUSY));
        assert_eq!(seen.of_vmas(), [0, 0, 1, 1]);
        assert_eq!(mapping.read(2 * PAGE_SIZE)?, 5);
        assert_eq!(number(&mapping, 2)?, 1);
        // Unmapping all of it needs no split.
        mapping.unmap_part(0, 6)?;
        assert_eq!(seen.of_vmas(), [0, 1, 1, 1]);
        Ok(())
    }

    #[test]
    fn load_asks_map_pages_and_fault() -> Result {
        let (file, seen) = create(Hook::MmapPrepare)?;
        let mapping = UserMapping::new(&file, 4, 0, Share::Shared)?;
        assert_eq!(mapping.read(PAGE_SIZE)?, 0);
        assert_eq!(seen.of_faults(), [1, 1, 0]);
        assert_eq!(mapping.read(PAGE_SIZE + 1)?, 0);
        assert_eq!(seen.of_faults(), [1, 1, 0]);
        Ok(())
    }

    #[test]
    fn first_store_is_announced() -> Result {
        let (file, seen) = create(Hook::Mmap)?;
        let mapping = UserMapping::new(&file, 4, 0, Share::Shared)?;
        assert_eq!(mapping.read(0)?, 0);
        mapping.write(0, 1)?;
        assert_eq!(seen.of_faults(), [1, 1, 1]);
        mapping.write(1, 2)?;
        assert_eq!(seen.of_faults(), [1, 1, 1]);
        assert_eq!(mapping.read(3 * PAGE_SIZE + 1)?, 2);
        Ok(())
    }

    #[test]
    fn store_that_is_refused_is_none() -> Result {
        let (file, seen) = create(Hook::Mmap)?;
        let mapping = UserMapping::new(&file, 2, 0, Share::Shared)?;
        seen.refuse.store(true, Relaxed);
        assert_eq!(mapping.write(0, 1), Err(EFAULT));
        assert_eq!(mapping.read(0)?, 0);
        seen.refuse.store(false, Relaxed);
        mapping.write(0, 1)?;
        assert_eq!(mapping.read(PAGE_SIZE)?, 1);
        Ok(())
    }

    #[test]
    fn mapping_keeps_the_file() -> Result {
        let (file, seen) = create(Hook::MmapPrepare)?;
        let mapping = UserMapping::new(&file, 2, 0, Share::Shared)?;
        drop(file);
        flush_files();
        mapping.write(PAGE_SIZE, 3)?;
        assert_eq!(mapping.read(0)?, 3);
        assert_eq!(number(&mapping, 0)?, 1);
        drop(mapping);
        assert_eq!(seen.data.load(Relaxed), 0);
        Ok(())
    }
}
