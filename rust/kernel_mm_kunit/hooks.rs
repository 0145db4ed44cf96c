// SPDX-License-Identifier: GPL-2.0

//! The two hooks of mmap(2).

use kernel::{
    macros::kunit_tests,
    prelude::*, //
};

#[kunit_tests(kernel_mm_hooks)]
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

    /// The checks for both hooks.
    fn maps_and_refuses(hook: Hook) -> Result {
        let fixture = Fixture::new(64, hook, Mode::Page)?;
        let mapping = UserMapping::new(&fixture.file, 4, 60, Share::Shared)?;
        mapping.write(3 * PAGE_SIZE, 9)?;
        assert!(fixture.inode.mapping().get_folio(63).is_some());
        assert_eq!(fixture.seen.hooks.load(Relaxed), 1);

        let refused = UserMapping::new(&fixture.file, 5, 60, Share::Shared);
        assert_eq!(refused.err(), Some(EXDEV));
        assert_eq!(fixture.seen.hooks.load(Relaxed), 2);
        assert_eq!(mapping.read(3 * PAGE_SIZE)?, 9);
        Ok(())
    }

    #[test]
    fn mmap_maps_and_refuses() -> Result {
        maps_and_refuses(Hook::Mmap)
    }

    #[test]
    fn mmap_prepare_maps_and_refuses() -> Result {
        maps_and_refuses(Hook::MmapPrepare)
    }

    #[test]
    fn part_of_a_mapping_can_go() -> Result {
        let fixture = Fixture::new(8, Hook::MmapPrepare, Mode::Page)?;
        let mapping = UserMapping::new(&fixture.file, 8, 0, Share::Shared)?;
        mapping.write(0, 1)?;
        mapping.write(7 * PAGE_SIZE, 2)?;
        mapping.unmap_part(2, 4)?;
        assert_eq!(mapping.read(3 * PAGE_SIZE), Err(EFAULT));
        assert_eq!(mapping.read(0)?, 1);
        assert_eq!(mapping.read(7 * PAGE_SIZE)?, 2);
        Ok(())
    }
}
