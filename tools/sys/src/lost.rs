// SPDX-License-Identifier: GPL-2.0

//! A mapping that another thread removes while `mmap(2)` still fills it.

use crate::child::has_one_thread;
use crate::procmap;
use crate::{Errno, MapOptions, Mapping, Result};
use std::os::fd::AsFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

/// How long the other thread waits between two checks.
const PAUSE: Duration = Duration::from_millis(1);

impl MapOptions {
    /// Maps a file, while another thread unmaps all of it as soon as the mapping exists and
    /// `before` has returned, even if `mmap(2)` has not. Returns the mapping's address.
    ///
    /// # Errors
    ///
    /// Those of `mmap(2)` and `munmap(2)`; `EBUSY` if there are other threads, which might map a
    /// file of their own where a failed mapping left a hole; `ENOTTY` from a kernel without
    /// `PROCMAP_QUERY`, `ENOTSUP` for huge pages.
    pub fn map_and_lose(&self, fd: impl AsFd, before: impl FnOnce() + Send) -> Result<usize> {
        if !has_one_thread() {
            return Err(Errno::BUSY);
        }
        let mut window = MapOptions::new(self.len).private().map_anonymous()?;
        let start = window.address();
        // Make the other thread's query once, so that an error occurs here.
        procmap::query(start)?;
        let failed = AtomicBool::new(false);
        let (mapped, unmapped) = scope(|scope| {
            let other = scope.spawn(|| {
                while !has_file(start) {
                    if failed.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    sleep(PAUSE);
                }
                before();
                let pointer = ptr::with_exposed_provenance_mut(start);
                // SAFETY: The range is `window`'s, which nobody accesses meanwhile. The new mapping
                // exists, as nobody else maps files, so the mapping thread maps nothing there any
                // more.
                unsafe { rustix::mm::munmap(pointer, self.mapped_len()) }
            });
            let mapped = window.map_over(0, self, Some(fd));
            failed.store(mapped.is_err(), Ordering::Relaxed);
            (mapped, other.join().unwrap_or(Err(Errno::CANCELED)))
        });
        match (mapped, unmapped) {
            (Ok(()), Ok(())) => {
                window.forget();
                Ok(start)
            }
            (Err(e), _) | (_, Err(e)) => Err(e),
        }
    }
}

/// Returns whether a file is mapped at an address.
fn has_file(address: usize) -> bool {
    procmap::query(address).is_ok_and(|vma| vma.inode != 0)
}

impl Mapping {
    /// Forgets the whole range: somebody has unmapped it.
    fn forget(&mut self) {
        self.owned
            .remove(self.address()..self.address() + self.len());
    }
}
