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

/// How long the other thread waits between two looks.
const PAUSE: Duration = Duration::from_millis(1);

impl MapOptions {
    /// Maps a file, and has another thread unmap all of it as soon as it is there and `before` has
    /// returned, no matter whether `mmap(2)` has. Returns the address where it was.
    ///
    /// # Errors
    ///
    /// Those of `mmap(2)` and `munmap(2)`; `EBUSY` if there are other threads, which might map a file
    /// of theirs where a mapping that failed left a hole; `ENOTTY` from a kernel without
    /// `PROCMAP_QUERY`, `ENOTSUP` for huge pages.
    pub fn map_and_lose(&self, fd: impl AsFd, before: impl FnOnce() + Send) -> Result<usize> {
        if !has_one_thread() {
            return Err(Errno::BUSY);
        }
        let mut window = MapOptions::new(self.len).private().map_anonymous()?;
        let start = window.address();
        // What the other thread will ask; an error is one now.
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
                // SAFETY: The range is `window`'s, which nobody accesses meanwhile. Its replacement is
                // there, as nobody else maps files: the other thread maps nothing there any more.
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

/// Whether what is mapped at an address is a file.
fn has_file(address: usize) -> bool {
    procmap::query(address).is_ok_and(|vma| vma.inode != 0)
}

impl Mapping {
    /// Gives all of it up: somebody has unmapped it.
    fn forget(&mut self) {
        self.owned
            .remove(self.address()..self.address() + self.len());
    }
}
