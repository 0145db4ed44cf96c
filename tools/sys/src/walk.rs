// SPDX-License-Identifier: GPL-2.0

//! Touches of many pages in few instructions, to measure the cost of a touch in the kernel.
//!
//! [`Mapping::touch_write`] returns a fault as an error and looks up its page, which takes dozens
//! of instructions, as many as the kernel needs for a page of a huge folio. A walk takes five, and
//! a fault that the kernel cannot resolve is a fatal signal.

use crate::{Mapping, PAGE_SIZE};
use core::arch::asm;

/// Pages in the order of their touches.
#[derive(Clone, Debug)]
pub struct Walk {
    pages: Vec<u32>,
    /// One more than the highest page.
    end: usize,
}

impl Walk {
    /// Makes a walk over pages by number; a page may appear more than once.
    pub fn new(pages: Vec<u32>) -> Self {
        let end = pages.iter().max().map_or(0, |&page| page as usize + 1);
        Self { pages, end }
    }

    /// Returns the number of touches.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Returns whether there is no touch.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }
}

impl Mapping {
    /// Reads a byte of each page of the walk.
    ///
    /// # Panics
    ///
    /// If the walk leaves the mapping.
    pub fn walk_read(&self, walk: &Walk) {
        let start = self.range(0, walk.end * PAGE_SIZE).start;
        for &page in &walk.pages {
            let at = start + page as usize * PAGE_SIZE;
            // SAFETY: The page is this mapping's, since all up to the walk's end are. The value is
            // dropped, so its type does not matter; where there is no memory, the process ends.
            unsafe {
                #[cfg(target_arch = "x86_64")]
                asm!("mov {value}, byte ptr [{at}]", at = in(reg) at, value = out(reg_byte) _,
                    options(nostack, preserves_flags, readonly));
                #[cfg(target_arch = "aarch64")]
                asm!("ldrb {value:w}, [{at}]", at = in(reg) at, value = out(reg) _,
                    options(nostack, preserves_flags, readonly));
            }
        }
    }

    /// Writes a byte into each page of the walk, its first.
    ///
    /// # Panics
    ///
    /// If the walk leaves the mapping.
    pub fn walk_write(&self, walk: &Walk) {
        let start = self.range(0, walk.end * PAGE_SIZE).start;
        for &page in &walk.pages {
            let at = start + page as usize * PAGE_SIZE;
            // SAFETY: The page is this mapping's, since all up to the walk's end are, and no Rust
            // object lies in it; where there is no memory, the process ends.
            unsafe {
                #[cfg(target_arch = "x86_64")]
                asm!("mov byte ptr [{at}], 1", at = in(reg) at, options(nostack, preserves_flags));
                #[cfg(target_arch = "aarch64")]
                asm!("strb {one:w}, [{at}]", at = in(reg) at, one = in(reg) 1,
                    options(nostack, preserves_flags));
            }
        }
    }

    /// Zeroes `pages` pages one by one with the instruction that the kernel uses on processors with
    /// ERMS (`clear_pages()` of arch/x86/include/asm/page_64.h).
    ///
    /// # Panics
    ///
    /// If the mapping has fewer pages.
    #[cfg(target_arch = "x86_64")]
    pub fn zero_pages(&self, pages: usize) {
        let start = self.range(0, pages * PAGE_SIZE).start;
        for page in 0..pages {
            let at = start + page * PAGE_SIZE;
            // SAFETY: As in `walk_write`; the direction flag is clear in Rust code.
            unsafe {
                asm!("rep stosb", inout("rdi") at => _, inout("rcx") PAGE_SIZE => _, in("al") 0u8,
                    options(nostack, preserves_flags));
            }
        }
    }
}

/// Tells a profiler in the emulator that what it counts begins: by an instruction that does nothing
/// (`plugin/count.c` of the benchmark).
#[cfg(target_arch = "x86_64")]
pub fn mark_begin() {
    // SAFETY: A register is exchanged with itself.
    unsafe { asm!("xchg bx, bx", options(nomem, nostack, preserves_flags)) };
}

/// Tells it that this ends.
#[cfg(target_arch = "x86_64")]
pub fn mark_end() {
    // SAFETY: As above.
    unsafe { asm!("xchg cx, cx", options(nomem, nostack, preserves_flags)) };
}

/// Announces a number and four words to a plugin in the emulator (`plugin/delay.c` of
/// `tools/testing/races`), which may delay this processor until it lets it go on.
#[cfg(target_arch = "x86_64")]
pub fn announce(what: u64, words: [u64; 4]) {
    let [first, second, third, fourth] = words;
    let mut memory = [0u64; 5];
    // Aligned, so that the emulator translates the instructions together. The memory is resident,
    // so that none of them faults: it has just been written.
    std::hint::black_box(&mut memory);
    // SAFETY: A register is exchanged with itself, and the words are stored in `memory`.
    unsafe {
        asm!(
            ".p2align 6",
            "xchg dx, dx",
            "mov [{to}], {what}",
            "mov [{to} + 8], {first}",
            "mov [{to} + 16], {second}",
            "mov [{to} + 24], {third}",
            "mov [{to} + 32], {fourth}",
            to = in(reg) memory.as_mut_ptr(),
            what = in(reg) what,
            first = in(reg) first,
            second = in(reg) second,
            third = in(reg) third,
            fourth = in(reg) fourth,
            options(nostack, preserves_flags)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MapOptions;

    #[test]
    fn walks_touch_their_pages_only() {
        let mapping = MapOptions::new(4 * PAGE_SIZE)
            .private()
            .map_anonymous()
            .unwrap();
        mapping.walk_write(&Walk::new(vec![2, 0]));
        let first = |page| mapping.touch_read(page).unwrap();
        assert_eq!([0, 1, 2, 3].map(first), [1, 0, 1, 0]);
        mapping.walk_read(&Walk::new(vec![3, 1]));
        mapping.write_u64(PAGE_SIZE - 8, u64::MAX).unwrap();
        mapping.zero_pages(1);
        assert_eq!(mapping.read_u64(PAGE_SIZE - 8).unwrap(), 0);
        assert_eq!([0, 1, 2, 3].map(first), [0, 0, 1, 0]);
    }

    #[test]
    #[should_panic(expected = "are not in a mapping")]
    fn walks_stay_in_the_mapping() {
        let mapping = MapOptions::new(PAGE_SIZE)
            .private()
            .map_anonymous()
            .unwrap();
        mapping.walk_read(&Walk::new(vec![1]));
    }
}
