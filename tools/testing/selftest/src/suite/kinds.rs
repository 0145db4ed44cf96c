// SPDX-License-Identifier: GPL-2.0

//! Shared and private mappings: which mappings see a store.

use crate::context::{Context, P};
use crate::outcome::Result;
use crate::view::{check_flags, kb, smap};
use crate::{cases, check_counts, check_eq};
use rmmap_sys::rustix::mm::Advice;
use rmmap_sys::{run_in_child, End};

cases! {
    Each shared_store_is_seen_by_others ["MK-02"] "a store is seen by a second mapping, read(2) and a forked child";
    Each private_store_is_private ["MK-01"] "a store through a private mapping does not change the object";
    Each private_mapping_sees_object_until_it_is_written ["MK-01"] "stores of others show up in a private page that was not written";
    Each private_write_to_hole_leaves_hole ["PO-14"] "a private store to a hole makes a zeroed copy and adds nothing to the object";
    Each private_read_then_write_copies ["MK-01"] "a page that was read is copied at the first store, with its bytes";
    Each private_copy_can_be_dropped [] "after MADV_DONTNEED a private mapping shows the object's bytes again";
}

fn shared_store_is_seen_by_others(cx: &Context) -> Result {
    let area = cx.single_pages(4)?;
    let (a, b) = (area.map()?, area.map()?);
    a.touch_write(1, 0x11)?;
    check_eq!(b.touch_read(1)?, 0x11);
    b.write_u64(P + 8, 0x2222)?;
    check_eq!(a.read_u64(P + 8)?, 0x2222);
    check_eq!(area.read(P, 1)?, [0x11]);

    let (end, bytes) = run_in_child(|| {
        match a
            .touch_read(1)
            .and_then(|v| b.touch_write(2, v + 1).map(|()| v))
        {
            Ok(v) => vec![v],
            Err(_) => vec![],
        }
    })?;
    check_eq!((end, bytes), (End::Exited(0), vec![0x11]));
    check_eq!(a.touch_read(2)?, 0x12, "the child's store");
    check_flags(
        &a,
        &["sh", "ms", "rd", "wr"],
        &["lo", "io", "pf", "de", "mm"],
    )?;
    check_eq!(smap(&a)?.map.perms, "rw-s");
    check_eq!(area.held_pages()?, 2);
    Ok(())
}

fn private_store_is_private(cx: &Context) -> Result {
    let area = cx.area(4)?;
    area.write(0, &[7; 100])?;
    let private = area.whole().private().map(&area)?;
    let shared = area.map()?;
    private.touch_write(0, 9)?;
    check_eq!((private.touch_read(0)?, shared.touch_read(0)?), (9, 7));
    check_eq!(
        private.read_u64(8)?,
        0x0707_0707_0707_0707,
        "the rest of the copied page"
    );
    check_eq!(area.read(0, 1)?, [7]);
    shared.touch_write(0, 5)?;
    check_eq!(
        private.touch_read(0)?,
        9,
        "the copy after a store to the original"
    );

    check_flags(&private, &["rd", "wr"], &["sh", "ms"])?;
    let smap = smap(&private)?;
    check_eq!(smap.map.perms, "rw-p");
    check_eq!(smap.kb("Anonymous"), kb(1));
    Ok(())
}

fn private_mapping_sees_object_until_it_is_written(cx: &Context) -> Result {
    let area = cx.area(2)?;
    let private = area.whole().private().map(&area)?;
    let shared = area.map()?;
    check_eq!(private.touch_read(1)?, 0);
    shared.touch_write(1, 3)?;
    check_eq!(
        private.touch_read(1)?,
        3,
        "a page that was read before the store"
    );
    area.write(P, &[4])?;
    check_eq!(
        private.touch_read(1)?,
        4,
        "a page that was read before the write"
    );
    check_eq!(smap(&private)?.kb("Anonymous"), 0);
    Ok(())
}

fn private_write_to_hole_leaves_hole(cx: &Context) -> Result {
    let area = cx.area(16)?;
    let private = area.whole().private().map(&area)?;
    let count = area.count()?;
    for page in [0, 3, 15] {
        private.touch_write(page, 1)?;
        check_eq!(
            private.read_u64(page * P + 8)?,
            0,
            "a byte of page {page} that was not written"
        );
    }
    check_counts!(count, fault_cow: 3, answer_zero: 3, folios: 0);
    check_eq!(smap(&private)?.kb("Anonymous"), kb(3));
    if area.is_rmmap() {
        check_eq!(
            area.held_pages()?,
            0,
            "pages of the object after private stores"
        );
        check_eq!(
            area.cached_pages()?,
            0,
            "pages in the cache after private stores"
        );
    }
    drop(private);
    check_eq!(area.read(3 * P, 1)?, [0]);
    Ok(())
}

fn private_read_then_write_copies(cx: &Context) -> Result {
    let area = cx.single_pages(2)?;
    area.write(0, &[0x5a; 2 * P])?;
    let private = area.whole().private().map(&area)?;
    check_eq!(private.touch_read(0)?, 0x5a);
    check_eq!(smap(&private)?.kb("Anonymous"), 0);
    // The page is mapped read-only: the core copies it without calling the handler.
    let count = area.count()?;
    private.touch_write(0, 1)?;
    check_counts!(count);
    check_eq!(smap(&private)?.kb("Anonymous"), kb(1));
    check_eq!(
        private.read_u64(P - 8)?,
        0x5a5a_5a5a_5a5a_5a5a,
        "the end of the copy"
    );
    check_eq!(area.read(0, 1)?, [0x5a]);
    check_eq!(area.held_pages()?, 2);

    // Another private mapping writes first: one fault, answered with the cached page.
    let other = area.whole().private().map(&area)?;
    let count = area.count()?;
    other.touch_write(1, 2)?;
    check_counts!(count, fault_cow: 1, answer_cached: 1, folios: 0);
    check_eq!(other.read_u64(2 * P - 8)?, 0x5a5a_5a5a_5a5a_5a5a);
    Ok(())
}

fn private_copy_can_be_dropped(cx: &Context) -> Result {
    let area = cx.area(2)?;
    area.write(0, &[1])?;
    let private = area.whole().private().map(&area)?;
    private.touch_write(0, 2)?;
    private.touch_write(1, 2)?;
    private.advise(0, 2 * P, Advice::LinuxDontNeed)?;
    check_eq!((private.touch_read(0)?, private.touch_read(1)?), (1, 0));
    check_eq!(smap(&private)?.kb("Anonymous"), 0);
    Ok(())
}
