// SPDX-License-Identifier: GPL-2.0

//! Inodes: size, holes, and eviction.

use kernel::{
    macros::kunit_tests,
    prelude::*, //
};

#[kunit_tests(kernel_mm_inode)]
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
            flush_files,
            lock,
            Share,
            UserMapping, //
        }, //
    };

    /// A file of 8 pages, each of which holds its number plus one in its first byte.
    fn filled() -> Result<(Fixture, UserMapping)> {
        let fixture = Fixture::new(8, Hook::Mmap, Mode::Page)?;
        let mapping = UserMapping::new(&fixture.file, 8, 0, Share::Shared)?;
        for page in 0..8 {
            mapping.write(page * PAGE_SIZE, page as u8 + 1)?;
        }
        Ok((fixture, mapping))
    }

    #[test]
    fn shrinking_frees_pages_and_reports_them() -> Result {
        let (fixture, mapping) = filled()?;
        lock(&fixture.inode).resize(3 * PAGE_SIZE as u64)?;
        assert_eq!(fixture.inode.mapping().nr_pages(), 3);
        assert_eq!(fixture.seen.removed.load(Relaxed), 5);
        assert_eq!(mapping.read(2 * PAGE_SIZE)?, 3);
        assert_eq!(mapping.read(3 * PAGE_SIZE), Err(EFAULT));
        Ok(())
    }

    #[test]
    fn growing_again_finds_zeroes() -> Result {
        let (fixture, mapping) = filled()?;
        // Within page 2, whose tail must be zeroed.
        mapping.write(2 * PAGE_SIZE + 100, 77)?;
        lock(&fixture.inode).resize(2 * PAGE_SIZE as u64 + 50)?;
        // A store past EOF within the last page is possible, and must not survive.
        mapping.write(2 * PAGE_SIZE + 200, 88)?;
        lock(&fixture.inode).resize(8 * PAGE_SIZE as u64)?;
        assert_eq!(mapping.read(2 * PAGE_SIZE)?, 3);
        assert_eq!(mapping.read(2 * PAGE_SIZE + 100)?, 0);
        assert_eq!(mapping.read(2 * PAGE_SIZE + 200)?, 0);
        assert_eq!(mapping.read(3 * PAGE_SIZE)?, 0);
        Ok(())
    }

    #[test]
    fn refused_size_changes_nothing() -> Result {
        let (fixture, _mapping) = filled()?;
        assert_eq!(lock(&fixture.inode).resize(MAX_SIZE + 1), Err(EFBIG));
        assert_eq!(fixture.inode.mapping().size_pages(), 8);
        assert_eq!(fixture.seen.removed.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn hole_frees_whole_pages_and_zeroes_parts() -> Result {
        let (fixture, mapping) = filled()?;
        mapping.write(PAGE_SIZE + 4000, 55)?;
        let removed = lock(&fixture.inode)
            .punch_hole(PAGE_SIZE as u64 + 2000, 3 * PAGE_SIZE as u64 - 1000)?;
        // From within page 1 to within page 4: pages 2 and 3 are removed.
        assert_eq!(removed, 2);
        assert_eq!(fixture.inode.mapping().nr_pages(), 6);
        assert_eq!(fixture.seen.removed.load(Relaxed), 2);
        assert_eq!(mapping.read(PAGE_SIZE)?, 2);
        assert_eq!(mapping.read(PAGE_SIZE + 4000)?, 0);
        assert_eq!(mapping.read(2 * PAGE_SIZE)?, 0);
        assert_eq!(mapping.read(4 * PAGE_SIZE)?, 0);
        assert_eq!(mapping.read(5 * PAGE_SIZE)?, 6);
        Ok(())
    }

    #[test]
    fn empty_or_overflowing_hole_is_refused() -> Result {
        let (fixture, _mapping) = filled()?;
        let guard = lock(&fixture.inode);
        assert_eq!(guard.punch_hole(0, 0), Err(EINVAL));
        assert_eq!(guard.punch_hole(u64::MAX, 2), Err(EINVAL));
        assert_eq!(guard.punch_hole(0, u64::MAX), Err(EINVAL));
        assert_eq!(fixture.inode.mapping().nr_pages(), 8);
        Ok(())
    }

    #[test]
    fn last_reference_frees_pages_and_data() -> Result {
        let (fixture, mapping) = filled()?;
        let Fixture { file, seen, inode } = fixture;
        drop(file);
        drop(inode);
        flush_files();
        // The mapping alone keeps everything.
        assert_eq!(seen.dropped.load(Relaxed), 0);
        assert_eq!(mapping.read(7 * PAGE_SIZE)?, 8);
        drop(mapping);
        assert_eq!(seen.dropped.load(Relaxed), 1);
        assert_eq!(seen.removed.load(Relaxed), 8);
        Ok(())
    }
}
