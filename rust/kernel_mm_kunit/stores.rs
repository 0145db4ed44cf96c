// SPDX-License-Identifier: GPL-2.0

//! First stores (page_mkwrite), and huge pages.

use kernel::{
    macros::kunit_tests,
    prelude::*, //
};

#[kunit_tests(kernel_mm_stores)]
mod tests {
    use super::*;
    use crate::memory::*;
    use kernel::{
        page::{
            PAGE_SHIFT,
            PAGE_SIZE, //
        },
        sync::atomic::Relaxed, //
    };
    use kernel_mm::kunit::{
        Share,
        UserMapping, //
    };

    /// Pages of a huge page.
    const HUGE: usize = 1 << (PAGE_SHIFT - 3);

    fn allowed(stores: Stores) -> Result {
        let (file, seen, _inode) = create::<StoresFile>(8, stores)?;
        let mapping = UserMapping::new(&file, 8, 0, Share::Shared)?;
        assert_eq!(mapping.read(3 * PAGE_SIZE)?, 0);
        assert_eq!(seen.page_mkwrite.load(Relaxed), 0);
        // A page that is mapped read-only, and one that is not mapped.
        for (n, page) in [3, 5].into_iter().enumerate() {
            mapping.write(page * PAGE_SIZE, 7)?;
            assert_eq!(seen.page_mkwrite.load(Relaxed), n as i32 + 1);
            assert_eq!(seen.stored.load(Relaxed), page as i32);
            mapping.write(page * PAGE_SIZE, 8)?;
            assert_eq!(seen.page_mkwrite.load(Relaxed), n as i32 + 1);
            assert_eq!(mapping.read(page * PAGE_SIZE)?, 8);
        }
        assert_eq!(seen.fault.load(Relaxed), 2);
        Ok(())
    }

    #[test]
    fn first_store_is_announced_and_let_through() -> Result {
        allowed(Stores::Allow)
    }

    #[test]
    fn first_store_is_let_through_with_the_folio_locked() -> Result {
        allowed(Stores::AllowLocked)
    }

    fn refused(stores: Stores) -> Result {
        let (file, seen, inode) = create::<StoresFile>(8, stores)?;
        let mapping = UserMapping::new(&file, 8, 0, Share::Shared)?;
        assert_eq!(mapping.read(3 * PAGE_SIZE)?, 0);
        assert_eq!(mapping.write(3 * PAGE_SIZE, 7), Err(EFAULT));
        assert_eq!(mapping.write(4 * PAGE_SIZE, 7), Err(EFAULT));
        assert!(seen.page_mkwrite.load(Relaxed) >= 2);
        assert_eq!(mapping.read(3 * PAGE_SIZE)?, 0);
        assert_eq!(mapping.read(4 * PAGE_SIZE)?, 0);
        // No lock is held any more.
        assert!(inode.mapping().lock_folio(3).is_some());
        assert!(inode.mapping().lock_folio(4).is_some());
        Ok(())
    }

    #[test]
    fn first_store_is_refused() -> Result {
        refused(Stores::Refuse)
    }

    #[test]
    fn first_store_is_refused_with_the_folio_locked() -> Result {
        refused(Stores::RefuseLocked)
    }

    #[test]
    fn store_to_a_private_mapping_is_not_announced() -> Result {
        let (file, seen, _inode) = create::<StoresFile>(4, Stores::Refuse)?;
        let mapping = UserMapping::new(&file, 4, 0, Share::Private)?;
        mapping.write(PAGE_SIZE, 7)?;
        assert_eq!(mapping.read(PAGE_SIZE)?, 7);
        assert_eq!(seen.page_mkwrite.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn unmapped_page_is_announced_again() -> Result {
        let (file, seen, inode) = create::<StoresFile>(4, Stores::AllowLocked)?;
        let mapping = UserMapping::new(&file, 4, 0, Share::Shared)?;
        mapping.write(0, 1)?;
        mapping.write(PAGE_SIZE, 1)?;
        inode.mapping().unmap(1, 1);
        mapping.write(0, 2)?;
        assert_eq!(seen.page_mkwrite.load(Relaxed), 2);
        mapping.write(PAGE_SIZE, 2)?;
        assert_eq!(seen.page_mkwrite.load(Relaxed), 3);
        Ok(())
    }

    #[test]
    fn huge_page_answers_for_all_its_pages() -> Result {
        let (file, seen, inode) = create::<HugeFile>(2 * HUGE, Stores::Allow)?;
        let mapping = UserMapping::new(&file, 2 * HUGE, 0, Share::Shared)?;
        assert_eq!(mapping.address() % (HUGE * PAGE_SIZE), 0);
        mapping.write(5 * PAGE_SIZE, 5)?;
        assert_eq!(inode.mapping().nr_pages(), HUGE);
        for page in 0..HUGE {
            let byte = if page == 5 { 5 } else { 0 };
            assert_eq!(mapping.read(page * PAGE_SIZE)?, byte);
        }
        assert_eq!(seen.huge_fault.load(Relaxed), 1);
        assert_eq!(seen.fault.load(Relaxed), 0);
        assert_eq!(mapping.read(HUGE * PAGE_SIZE)?, 0);
        assert_eq!(seen.huge_fault.load(Relaxed), 2);
        assert_eq!(seen.fault.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn huge_page_that_does_not_fit_is_mapped_in_pages() -> Result {
        let (file, seen, inode) = create::<HugeFile>(2 * HUGE, Stores::Allow)?;
        // One page short of the huge page.
        let mapping = UserMapping::new(&file, HUGE - 1, 0, Share::Shared)?;
        mapping.write(5 * PAGE_SIZE, 5)?;
        assert_eq!(seen.huge_fault.load(Relaxed), 1);
        assert_eq!(seen.fault.load(Relaxed), 1);
        assert_eq!(mapping.read(5 * PAGE_SIZE)?, 5);
        assert_eq!(inode.mapping().nr_pages(), HUGE);
        Ok(())
    }

    #[test]
    fn private_store_to_a_huge_page_copies_one_page() -> Result {
        let (file, seen, _inode) = create::<HugeFile>(HUGE, Stores::Allow)?;
        let shared = UserMapping::new(&file, HUGE, 0, Share::Shared)?;
        shared.write(5 * PAGE_SIZE, 5)?;
        let private = UserMapping::new(&file, HUGE, 0, Share::Private)?;
        assert_eq!(private.read(5 * PAGE_SIZE)?, 5);
        assert_eq!(seen.fault.load(Relaxed), 0);
        private.write(5 * PAGE_SIZE, 6)?;
        assert_eq!(private.read(5 * PAGE_SIZE)?, 6);
        assert_eq!(shared.read(5 * PAGE_SIZE)?, 5);
        shared.write(6 * PAGE_SIZE, 7)?;
        assert_eq!(private.read(6 * PAGE_SIZE)?, 7);
        Ok(())
    }
}
