// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the parts of the driver that userspace cannot test one by one.

use kernel::{
    macros::kunit_tests,
    prelude::*, //
};

#[kunit_tests(rmmap_limits)]
mod limits {
    use super::*;
    use crate::device::Limits;
    use kernel::page::PAGE_SIZE;

    #[test]
    fn given_values_are_taken() -> Result {
        let limits = Limits::new(PAGE_SIZE as u64, 1, 8)?;
        assert_eq!(limits.capacity, PAGE_SIZE as u64);
        assert_eq!(limits.max_bytes, 1);
        Ok(())
    }

    #[test]
    fn unusable_values_are_refused() {
        let page = PAGE_SIZE as u64;
        assert_eq!(Limits::new(0, page, 8).err(), Some(EINVAL));
        assert_eq!(Limits::new(page, 0, 8).err(), Some(EINVAL));
        assert_eq!(Limits::new(page + 1, page, 8).err(), Some(EINVAL));
        assert_eq!(Limits::new(1 << 63, page, 8).err(), Some(EINVAL));
        assert_eq!(Limits::new(u64::MAX, page, 8).err(), Some(EINVAL));
        assert_eq!(Limits::new(page, u64::MAX, 8).err(), Some(EINVAL));
    }

    #[test]
    fn default_is_half_of_ram_in_whole_pages() -> Result {
        let limits = Limits::new(u64::MAX - 1, u64::MAX - 1, 8)?;
        let ram = kernel_mm::mem::total_ram_bytes();
        assert_eq!(limits.capacity % PAGE_SIZE as u64, 0);
        assert!(limits.capacity <= ram / 2);
        assert!(limits.capacity > ram / 2 - PAGE_SIZE as u64);
        Ok(())
    }
}

#[kunit_tests(rmmap_region)]
mod region {
    use super::*;
    use crate::{
        contract::Contract,
        device::{
            Device,
            Limits,
            REGION_FS, //
        },
        file::RegionFile,
        policy::Policy,
        quota::PageQuota,
        region::{
            Kind,
            Region, //
        },
        stats::COUNTED, //
    };
    use kernel::{
        page::PAGE_SIZE,
        sync::Arc, //
    };
    use kernel_mm::{
        cache::{
            address_space::{
                AddressSpace,
                TruncateGuard, //
            },
            insert::{
                FolioRange, //
                Found,
            }, //
        },
        file::ops::Hook,
        kunit::{
            invalidate_lock_shared,
            lock, //
        }, //
    };

    /// Returns a new device with room for `pages` pages.
    fn device(pages: usize) -> Result<Arc<Device>> {
        let bytes = (pages * PAGE_SIZE) as u64;
        Device::new(Limits::new(bytes, bytes, 8)?, Hook::Mmap, Policy::Never)
    }

    /// Finds page `index` of `region`, or adds and counts it.
    fn find_or_add<'m, G: TruncateGuard<'m>>(region: &Region, held: &G, index: usize) -> Result {
        match AddressSpace::find_or_add(held, index, &FolioRange::page(index), region)? {
            Found::Cached(_) => {}
            Found::Added { folio, fell_back } => {
                region.count_folios(folio.order(), 1);
                region.record_order(folio.order(), fell_back);
            }
        }
        Ok(())
    }

    #[test]
    fn quota_is_charged_and_given_back() -> Result {
        let device = device(3)?;
        assert!(device.pages().charge(2));
        assert!(!device.pages().charge(2));
        assert_eq!(device.used_bytes(), 2 * PAGE_SIZE as u64);
        assert!(device.pages().charge(1));
        device.pages().uncharge(3);
        assert_eq!(device.used_bytes(), 0);
        Ok(())
    }

    #[test]
    fn stocks_hide_no_page() -> Result {
        const STOCKS: u32 = 4;
        const LIMIT: u64 = 4096;
        let quota = PageQuota::with_stocks(LIMIT, STOCKS)?;
        let mut charged = 0;
        while quota.charge_on(charged as u32 % STOCKS, 1) {
            charged += 1;
            assert_eq!(quota.used(), charged);
        }
        assert_eq!(charged, LIMIT);
        // A page that one CPU returns is there for another one.
        quota.uncharge_on(3, 1);
        assert!(!quota.charge_on(0, 2));
        assert!(quota.charge_on(0, 1));
        // The stocks come back, hold pages, and hide none of them.
        for page in 0..LIMIT {
            quota.uncharge_on(page as u32 % STOCKS, 1);
        }
        assert_eq!(quota.used(), 0);
        assert!(!quota.charge_on(1, LIMIT + 1));
        assert!(quota.charge_on(1, LIMIT));
        assert!(!quota.charge_on(2, u64::MAX));
        assert_eq!(quota.used(), LIMIT);
        quota.uncharge_on(2, LIMIT);
        assert_eq!(quota.used(), 0);
        Ok(())
    }

    #[test]
    fn regions_share_the_quota_and_return_it() -> Result {
        let device = device(3)?;
        let size = 8 * PAGE_SIZE as u64;
        let make = || {
            let data = Region::new(
                device.clone(),
                Kind::Created,
                Policy::Never,
                Contract::none(),
            )?;
            REGION_FS
                .pin()?
                .create_file::<RegionFile>(c"kunit", Hook::Mmap, size, data)
        };
        let (file_a, a) = make()?;
        let (file_b, b) = make()?;
        assert_eq!(device.regions(), 2);
        {
            let held = invalidate_lock_shared(a.mapping());
            find_or_add(&a, &held, 0)?;
            find_or_add(&a, &held, 0)?;
            // Not charged either: the page is resident.
            let again = AddressSpace::add_largest(&held, 0, &FolioRange::page(0), a.inode_data());
            assert_eq!(again.err(), Some(EEXIST));
            find_or_add(&a, &held, 7)?;
        }
        assert_eq!(device.used_bytes(), 2 * PAGE_SIZE as u64);
        {
            let held = invalidate_lock_shared(b.mapping());
            find_or_add(&b, &held, 1)?;
            assert_eq!(find_or_add(&b, &held, 2), Err(ENOMEM));
        }
        lock(&a).punch_hole(0, PAGE_SIZE as u64)?;
        assert_eq!(device.used_bytes(), 2 * PAGE_SIZE as u64);
        if COUNTED {
            assert_eq!(a.counters.read().folios[0], 2);
            assert_eq!(a.counters.read().discarded, PAGE_SIZE as u64);
        }
        drop((file_a, a, file_b, b));
        kernel_mm::kunit::flush_files();
        assert_eq!(device.used_bytes(), 0);
        assert_eq!(device.regions(), 0);
        Ok(())
    }
}
