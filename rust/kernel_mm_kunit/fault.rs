// SPDX-License-Identifier: GPL-2.0

//! Page faults, through the kernel's own path.

use kernel::{
    macros::kunit_tests,
    prelude::*, //
};

#[kunit_tests(kernel_mm_fault)]
mod tests {
    use super::*;
    use crate::driver::*;
    use kernel::{
        page::PAGE_SIZE,
        sync::atomic::Relaxed, //
    };
    use kernel_mm::{
        file::ops::Hook,
        kunit::{
            Share,
            UserMapping, //
        }, //
    };

    #[test]
    fn page_appears_on_first_touch_only() -> Result {
        let fixture = Fixture::new(16, Hook::Mmap, Mode::Page)?;
        let mapping = UserMapping::new(&fixture.file, 16, 0, Share::Shared)?;
        assert_eq!(fixture.inode.mapping().nr_pages(), 0);
        assert_eq!(fixture.seen.faults.load(Relaxed), 0);
        assert_eq!(mapping.read(5 * PAGE_SIZE)?, 0);
        assert_eq!(fixture.inode.mapping().nr_pages(), 1);
        assert_eq!(fixture.seen.faults.load(Relaxed), 1);
        assert_eq!(mapping.read(5 * PAGE_SIZE + 1)?, 0);
        assert_eq!(fixture.seen.faults.load(Relaxed), 1);
        assert_eq!(fixture.seen.populates.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn shared_store_is_seen_by_the_other_mapping() -> Result {
        let fixture = Fixture::new(4, Hook::Mmap, Mode::Page)?;
        let a = UserMapping::new(&fixture.file, 4, 0, Share::Shared)?;
        let b = UserMapping::new(&fixture.file, 2, 2, Share::Shared)?;
        a.write(3 * PAGE_SIZE + 9, 42)?;
        assert_eq!(b.read(PAGE_SIZE + 9)?, 42);
        assert_eq!(fixture.inode.mapping().nr_pages(), 1);
        Ok(())
    }

    #[test]
    fn resident_neighbours_are_mapped_without_a_fault() -> Result {
        let fixture = Fixture::new(16, Hook::Mmap, Mode::Page)?;
        let a = UserMapping::new(&fixture.file, 16, 0, Share::Shared)?;
        for page in 0..16 {
            a.write(page * PAGE_SIZE, 1)?;
        }
        let faults = fixture.seen.faults.load(Relaxed);
        assert_eq!(faults, 16);
        let b = UserMapping::new(&fixture.file, 16, 0, Share::Shared)?;
        assert_eq!(b.read(0)?, 1);
        assert!(fixture.seen.map_pages.load(Relaxed) > 0);
        assert_eq!(fixture.seen.faults.load(Relaxed), faults);
        Ok(())
    }

    #[test]
    fn populate_is_told_from_a_touch() -> Result {
        let fixture = Fixture::new(8, Hook::Mmap, Mode::Page)?;
        let mapping = UserMapping::new(&fixture.file, 8, 0, Share::SharedPopulate)?;
        assert_eq!(fixture.inode.mapping().nr_pages(), 8);
        assert_eq!(fixture.seen.populates.load(Relaxed), 8);
        assert_eq!(mapping.read(7 * PAGE_SIZE)?, 0);
        assert_eq!(fixture.seen.faults.load(Relaxed), 8);
        Ok(())
    }

    #[test]
    fn private_store_stays_private() -> Result {
        let fixture = Fixture::new(2, Hook::Mmap, Mode::Page)?;
        let shared = UserMapping::new(&fixture.file, 2, 0, Share::Shared)?;
        shared.write(0, 11)?;
        let private = UserMapping::new(&fixture.file, 2, 0, Share::Private)?;
        assert_eq!(private.read(0)?, 11);
        private.write(0, 22)?;
        assert_eq!(private.read(0)?, 22);
        assert_eq!(shared.read(0)?, 11);
        Ok(())
    }

    #[test]
    fn copy_of_zeroes_leaves_the_file_empty() -> Result {
        let fixture = Fixture::new(2, Hook::Mmap, Mode::CowOfZeroes)?;
        let private = UserMapping::new(&fixture.file, 2, 0, Share::Private)?;
        private.write(10, 5)?;
        assert_eq!(private.read(9)?, 0);
        assert_eq!(private.read(10)?, 5);
        assert_eq!(fixture.inode.mapping().nr_pages(), 0);
        Ok(())
    }

    #[test]
    fn fault_of_a_kernel_thread_is_not_repeated() -> Result {
        // Dropping the last reference to the file here would leave the module to a workqueue.
        let fixture = Fixture::new(4, Hook::Mmap, Mode::Retry)?;
        let mapping = UserMapping::new(&fixture.file, 4, 0, Share::Shared)?;
        mapping.write(PAGE_SIZE, 3)?;
        assert_eq!(fixture.seen.faults.load(Relaxed), 1);
        assert_eq!(mapping.read(PAGE_SIZE)?, 3);
        assert_eq!(fixture.inode.mapping().nr_pages(), 1);
        // Unlocking a lock that is not held would crash the kernel.
        mapping.unmap_part(2, 1)?;
        drop(mapping);
        let _populated = UserMapping::new(&fixture.file, 4, 0, Share::SharedPopulate)?;
        assert_eq!(fixture.inode.mapping().nr_pages(), 4);
        Ok(())
    }

    #[test]
    fn folio_of_another_place_is_refused() -> Result {
        let fixture = Fixture::new(4, Hook::Mmap, Mode::WrongPage)?;
        let mapping = UserMapping::new(&fixture.file, 4, 0, Share::Shared)?;
        assert_eq!(mapping.read(0)?, 0);
        assert_eq!(mapping.read(2 * PAGE_SIZE), Err(EFAULT));
        Ok(())
    }

    #[test]
    fn beyond_the_end_there_is_nothing() -> Result {
        let fixture = Fixture::new(2, Hook::Mmap, Mode::Page)?;
        let mapping = UserMapping::new(&fixture.file, 4, 0, Share::Shared)?;
        mapping.write(PAGE_SIZE, 1)?;
        assert_eq!(mapping.write(2 * PAGE_SIZE, 1), Err(EFAULT));
        assert_eq!(fixture.inode.mapping().nr_pages(), 1);
        Ok(())
    }

    #[test]
    fn touch_without_memory_ends() -> Result {
        let fixture = Fixture::new(2, Hook::Mmap, Mode::NoMemory)?;
        let mapping = UserMapping::new(&fixture.file, 2, 0, Share::SharedPopulate)?;
        assert_eq!(mapping.read(0), Err(EFAULT));
        assert_eq!(fixture.inode.mapping().nr_pages(), 0);
        Ok(())
    }
}
