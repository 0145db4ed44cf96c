// SPDX-License-Identifier: GPL-2.0

//! Folios and the page cache.

use kernel::{
    macros::kunit_tests,
    prelude::*, //
};

#[kunit_tests(kernel_mm_page_cache)]
mod tests {
    use super::*;
    use crate::driver::*;
    use kernel::page::PAGE_SIZE;
    use kernel_mm::{
        cache::address_space::AddressSpace,
        file::ops::Hook,
        kunit::{
            invalidate_lock_shared,
            lock, //
        }, //
    };

    fn fixture() -> Result<Fixture> {
        Fixture::new(8, Hook::Mmap, Mode::Page)
    }

    #[test]
    fn new_page_is_one_page_up_to_date() -> Result {
        let fixture = fixture()?;
        let mapping = fixture.inode.mapping();
        let held = invalidate_lock_shared(mapping);
        let folio = AddressSpace::alloc_folio(&held, 0, 0).ok_or(ENOMEM)?;
        assert_eq!((folio.order(), folio.nr_pages()), (0, 1));
        let page = AddressSpace::add_folio(&held, folio, 0).map_err(|e| e.error)?;
        assert_eq!(page.size(), PAGE_SIZE);
        assert_eq!(page.order(), 0);
        assert_eq!(page.nr_pages(), 1);
        assert!(page.is_uptodate());
        Ok(())
    }

    #[test]
    fn added_folio_is_found_locked_and_counted() -> Result {
        let fixture = fixture()?;
        let mapping = fixture.inode.mapping();
        assert!(mapping.get_folio(3).is_none());
        assert!(mapping.lock_folio(3).is_none());
        let held = invalidate_lock_shared(mapping);
        let folio = AddressSpace::alloc_folio(&held, 0, 0).ok_or(ENOMEM)?;
        let added = AddressSpace::add_folio(&held, folio, 3).map_err(|e| e.error)?;
        assert!(added.contains(3));
        assert!(!added.contains(2));
        assert!(!added.contains(4));
        assert_eq!(mapping.nr_pages(), 1);
        drop(added);
        assert!(mapping.lock_folio(3).is_some());
        assert!(mapping.get_folio(3).is_some());
        assert!(mapping.get_folio(4).is_none());
        Ok(())
    }

    #[test]
    fn occupied_place_gives_the_folio_back() -> Result {
        let fixture = fixture()?;
        let mapping = fixture.inode.mapping();
        let held = invalidate_lock_shared(mapping);
        let first = AddressSpace::alloc_folio(&held, 0, 0).ok_or(ENOMEM)?;
        drop(AddressSpace::add_folio(&held, first, 0).map_err(|e| e.error)?);
        let second = AddressSpace::alloc_folio(&held, 0, 0).ok_or(ENOMEM)?;
        let Err(failed) = AddressSpace::add_folio(&held, second, 0) else {
            return Err(EINVAL);
        };
        assert_eq!(failed.error, EEXIST);
        // The folio is intact: it can be added at another index.
        assert!(AddressSpace::add_folio(&held, failed.folio, 1).is_ok());
        assert_eq!(mapping.nr_pages(), 2);
        Ok(())
    }

    #[test]
    fn misaligned_large_folio_is_refused() -> Result {
        let fixture = fixture()?;
        let mapping = fixture.inode.mapping();
        let held = invalidate_lock_shared(mapping);
        let folio = AddressSpace::alloc_folio(&held, 0, 2).ok_or(ENOMEM)?;
        assert_eq!(folio.nr_pages(), 4);
        let Err(failed) = AddressSpace::add_folio(&held, folio, 2) else {
            return Err(EINVAL);
        };
        assert_eq!(failed.error, EINVAL);
        assert_eq!(mapping.nr_pages(), 0);
        Ok(())
    }

    #[test]
    fn size_is_given_in_whole_pages() -> Result {
        let fixture = fixture()?;
        let mapping = fixture.inode.mapping();
        assert_eq!(mapping.size_pages(), 8);
        lock(&fixture.inode).resize(PAGE_SIZE as u64 + 1)?;
        assert_eq!(mapping.size(), PAGE_SIZE as u64 + 1);
        assert_eq!(mapping.size_pages(), 2);
        lock(&fixture.inode).resize(0)?;
        assert_eq!(mapping.size_pages(), 0);
        Ok(())
    }
}
