// SPDX-License-Identifier: GPL-2.0

//! References to a folio besides those of the page cache and of page tables: those of direct I/O
//! and of pipes, and the short-lived ones of page faults and LRU batches.
//!
//! C source: [`mm/memfd.c`](srctree/mm/memfd.c)

use crate::{
    bindings,
    mm::{
        cache::address_space::AddressSpace,
        sched::fatal_signal_pending, //
    },
    prelude::*,
    time::msecs_to_jiffies, //
};

/// The last retry for a folio that is in use (`LAST_SCAN` in mm/memfd.c).
const LAST_TRY: u32 = 4;

/// The retries for folios that are in use, with longer and longer pauses, as
/// `memfd_wait_for_pins()` in mm/memfd.c makes them.
#[derive(Default)]
pub(super) struct Retries(u32);

impl Retries {
    /// Waits before the next try. Returns `false` instead when the tries took about 150 ms, or when
    /// the process is being killed. Sleeps: the caller holds no lock that the users of the folio
    /// may need.
    pub(super) fn wait(&mut self) -> bool {
        if self.0 > LAST_TRY || fatal_signal_pending() {
            return false;
        }
        if self.0 == 0 {
            // Folios in this CPU's LRU batches have a reference from there.
            AddressSpace::drain_lru();
        } else {
            let time = msecs_to_jiffies(5 << self.0);
            // SAFETY: No lock is held that must not be held while sleeping.
            unsafe { bindings::schedule_timeout_killable(time as c_long) };
        }
        self.0 += 1;
        true
    }
}

/// Waits until each page was seen once without references other than those of the page cache and of
/// page tables. The caller has excluded new references that may write.
///
/// # Errors
///
/// `EBUSY` after about 150 ms, or when the process is being killed.
pub(super) fn wait_for_pins(mapping: &AddressSpace) -> Result {
    let mut retries = Retries::default();
    let mut index = 0;
    loop {
        index = mapping.first_page(index, usize::MAX);
        let Some(folio) = mapping.get_folio(index) else {
            if index == usize::MAX {
                return Ok(());
            }
            // The folio was removed meanwhile.
            continue;
        };
        while folio.is_in_use() {
            if !retries.wait() {
                return Err(EBUSY);
            }
        }
        // Folios are naturally aligned, and a reference prevents a split.
        index = (index | (folio.nr_pages() - 1)) + 1;
    }
}
