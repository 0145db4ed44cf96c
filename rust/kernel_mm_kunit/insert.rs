// SPDX-License-Identifier: GPL-2.0

//! Adding folios to holes.

use core::cell::Cell;
use kernel::{
    macros::kunit_tests,
    page::PAGE_SIZE,
    prelude::*, //
};
use kernel_mm::cache::insert::Quota;

/// The pages that may still be added.
struct Left(Cell<usize>);

impl Quota for Left {
    fn charge(&self, pages: usize) -> bool {
        let left = self.0.get().checked_sub(pages);
        left.is_some_and(|left| {
            self.0.set(left);
            true
        })
    }

    fn uncharge(&self, pages: usize) {
        self.0.set(self.0.get() + pages);
    }
}

#[kunit_tests(kernel_mm_insert)]
mod tests {
    use super::*;
    use crate::driver::*;
    use kernel_mm::{
        cache::{
            address_space::AddressSpace,
            insert::{
                FolioRange,
                Found,
                Unlimited, //
            }, //
        },
        file::ops::Hook,
        kunit::{
            invalidate_lock_shared,
            lock, //
        }, //
    };

    fn fixture() -> Result<Fixture> {
        Fixture::new(64, Hook::Mmap, Mode::Page)
    }

    /// Adds a folio for page `index`; returns its order, and whether a larger one had room.
    fn added<Q: Quota>(
        fixture: &Fixture,
        index: usize,
        room: &FolioRange,
        quota: &Q,
    ) -> Result<(u32, bool)> {
        let held = invalidate_lock_shared(fixture.inode.mapping());
        match AddressSpace::find_or_add(&held, index, room, quota)? {
            Found::Added { folio, fell_back } => {
                assert!(folio.contains(index));
                Ok((folio.order(), fell_back))
            }
            Found::Cached(_) => Err(EEXIST),
        }
    }

    #[test]
    fn largest_aligned_folio_within_the_room_is_added() -> Result {
        let fixture = fixture()?;
        // Pages 3 to 12: order 2 is the largest that holds page 5 and begins at a multiple.
        assert_eq!(
            added(&fixture, 5, &FolioRange::new(3..13, 9), &Unlimited)?,
            (2, false)
        );
        assert_eq!(fixture.inode.mapping().nr_pages(), 4);
        assert_eq!(
            added(&fixture, 3, &FolioRange::new(3..13, 9), &Unlimited)?,
            (0, false)
        );
        // The folio is no larger than the range allows, even where more would fit.
        assert_eq!(
            added(&fixture, 32, &FolioRange::new(0..64, 3), &Unlimited)?,
            (3, false)
        );
        Ok(())
    }

    #[test]
    fn pages_that_are_there_are_found_and_leave_less_room() -> Result {
        let fixture = fixture()?;
        let all = FolioRange::new(0..64, 9);
        assert_eq!(
            added(&fixture, 9, &FolioRange::page(9), &Unlimited)?,
            (0, false)
        );
        assert_eq!(added(&fixture, 9, &all, &Unlimited).err(), Some(EEXIST));
        assert_eq!(fixture.inode.mapping().first_missing(8, 9), 8);
        assert_eq!(fixture.inode.mapping().first_missing(9, 9), 10);
        assert_eq!(fixture.inode.mapping().first_missing(9, 1), 10);
        assert_eq!(fixture.inode.mapping().first_missing(9, 0), 9);
        // Page 9 excludes large folios that begin at 8 or before.
        assert_eq!(added(&fixture, 12, &all, &Unlimited)?, (2, false));
        assert_eq!(added(&fixture, 8, &all, &Unlimited)?, (0, false));
        assert_eq!(added(&fixture, 0, &all, &Unlimited)?, (3, false));
        Ok(())
    }

    #[test]
    fn first_missing_page_is_the_same_from_all_pages_of_a_folio() -> Result {
        let fixture = fixture()?;
        let mapping = fixture.inode.mapping();
        assert_eq!(
            added(&fixture, 16, &FolioRange::new(16..32, 4), &Unlimited)?,
            (4, false)
        );
        for index in 16..32 {
            assert_eq!(mapping.first_missing(index, 64), 32);
        }
        assert_eq!(mapping.first_missing(20, 4), 24);
        assert_eq!(mapping.first_missing(20, 0), 20);
        // The walk continues over the next folio.
        assert_eq!(
            added(&fixture, 32, &FolioRange::new(32..40, 3), &Unlimited)?,
            (3, false)
        );
        assert_eq!(mapping.first_missing(31, 64), 40);
        assert_eq!(mapping.first_missing(37, 64), 40);
        Ok(())
    }

    #[test]
    fn what_the_quota_refuses_is_tried_smaller_and_charged_once() -> Result {
        let fixture = fixture()?;
        let left = Left(Cell::new(7));
        assert_eq!(
            added(&fixture, 16, &FolioRange::new(16..32, 4), &left)?,
            (2, true)
        );
        assert_eq!(left.0.get(), 3);
        assert_eq!(
            added(&fixture, 20, &FolioRange::new(16..32, 4), &left)?,
            (1, true)
        );
        assert_eq!(
            added(&fixture, 22, &FolioRange::page(22), &left)?,
            (0, false)
        );
        assert_eq!(
            added(&fixture, 23, &FolioRange::page(23), &left).err(),
            Some(ENOMEM)
        );
        assert_eq!(left.0.get(), 0);
        Ok(())
    }

    #[test]
    fn what_cannot_be_had_is_not_tried_but_told() -> Result {
        let fixture = fixture()?;
        let room = FolioRange::new(0..64, 5);
        let short = room.clone().with_start_order(3);
        assert_eq!(added(&fixture, 0, &short, &Unlimited)?, (3, true));
        // Less room than the start order.
        assert_eq!(added(&fixture, 8, &short, &Unlimited)?, (3, false));
        assert_eq!(
            added(&fixture, 32, &room.with_start_order(9), &Unlimited)?,
            (5, false)
        );
        Ok(())
    }

    #[test]
    fn fill_adds_what_is_missing_until_the_quota_ends() -> Result {
        let fixture = fixture()?;
        let left = Left(Cell::new(5));
        assert_eq!(added(&fixture, 2, &FolioRange::page(2), &left)?, (0, false));
        let held = invalidate_lock_shared(fixture.inode.mapping());
        assert_eq!(AddressSpace::add_single_pages(&held, 0..4, &left), 3);
        assert_eq!(AddressSpace::add_single_pages(&held, 4..8, &left), 1);
        assert_eq!(left.0.get(), 0);
        assert_eq!(fixture.inode.mapping().nr_pages(), 5);
        // They are unlocked, of one page each.
        let folio = fixture.inode.mapping().lock_folio(4).ok_or(ENOENT)?;
        assert_eq!(folio.order(), 0);
        Ok(())
    }

    #[test]
    fn nothing_is_added_past_eof() -> Result {
        let fixture = fixture()?;
        lock(&fixture.inode).resize(PAGE_SIZE as u64)?;
        // Without the limit at EOF this would add 512 pages to a file of one; punching them would
        // crash.
        assert_eq!(
            added(&fixture, 0, &FolioRange::new(0..512, 9), &Unlimited)?,
            (0, false)
        );
        assert_eq!(
            added(&fixture, 1, &FolioRange::new(0..512, 9), &Unlimited).err(),
            Some(ENXIO)
        );
        let mapping = fixture.inode.mapping();
        let held = invalidate_lock_shared(mapping);
        assert_eq!(AddressSpace::add_single_pages(&held, 0..8, &Unlimited), 0);
        let folio = AddressSpace::alloc_folio(&held, 1, 0).ok_or(ENOMEM)?;
        let past = AddressSpace::add_folio(&held, folio, 1);
        assert_eq!(past.err().map(|failed| failed.error), Some(EINVAL));
        drop(held);
        assert_eq!(lock(&fixture.inode).punch_hole(0, PAGE_SIZE as u64)?, 1);
        assert_eq!(mapping.nr_pages(), 0);
        Ok(())
    }

    /// Counts the calls.
    struct Asked(Cell<usize>);

    impl Quota for Asked {
        fn charge(&self, _pages: usize) -> bool {
            self.0.set(self.0.get() + 1);
            true
        }

        fn uncharge(&self, _pages: usize) {}
    }

    #[test]
    fn pages_that_are_there_are_not_allocated_again() -> Result {
        let fixture = fixture()?;
        for page in [1, 2, 5] {
            added(&fixture, page, &FolioRange::page(page), &Unlimited)?;
        }
        let held = invalidate_lock_shared(fixture.inode.mapping());
        let asked = Asked(Cell::new(0));
        assert_eq!(AddressSpace::add_single_pages(&held, 0..8, &asked), 5);
        assert_eq!(asked.0.get(), 5);
        assert_eq!(AddressSpace::add_single_pages(&held, 0..8, &asked), 0);
        assert_eq!(asked.0.get(), 5);
        Ok(())
    }
}
