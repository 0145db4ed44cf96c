// SPDX-License-Identifier: GPL-2.0

//! `/proc/PID/pagemap`: one word for each page of an address space.
//!
//! C source: `fs/proc/task_mmu.c`, the `PM_*` bits.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{process::read_error, Error};

/// Size of a page; `pagemap` is indexed by it.
pub use rmmap_sys::PAGE_SIZE;

/// An open `pagemap`.
#[derive(Debug)]
pub struct PageMap {
    file: File,
    path: PathBuf,
}

/// The entry of one page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page(u64);

impl Page {
    /// Returns whether the page is in memory and mapped here (bit 63).
    pub fn is_present(self) -> bool {
        self.bit(63)
    }

    /// Returns whether the page is swapped out (bit 62).
    pub fn is_swapped(self) -> bool {
        self.bit(62)
    }

    /// Returns whether the page belongs to a file or to shared anonymous memory (bit 61).
    pub fn is_file(self) -> bool {
        self.bit(61)
    }

    /// Returns whether no other process maps the page (bit 56).
    pub fn is_exclusive(self) -> bool {
        self.bit(56)
    }

    /// Returns whether the page was written since the soft-dirty bits were cleared (bit 55).
    pub fn is_soft_dirty(self) -> bool {
        self.bit(55)
    }

    /// Returns the number of the page frame; 0 without `CAP_SYS_ADMIN` or if the page is not
    /// present.
    pub fn pfn(self) -> u64 {
        if self.is_present() {
            self.0 & ((1 << 55) - 1)
        } else {
            0
        }
    }

    /// Returns whether the bit is set.
    fn bit(self, nr: u32) -> bool {
        (self.0 >> nr) & 1 == 1
    }
}

impl From<u64> for Page {
    fn from(word: u64) -> Self {
        Self(word)
    }
}

impl PageMap {
    /// Opens the file; [`crate::Process::pagemap`] knows its path.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        match File::open(&path) {
            Ok(file) => Ok(Self { file, path }),
            Err(source) => Err(read_error(&path, source)),
        }
    }

    /// Returns the entries of `count` pages, the first of which contains `addr`.
    pub fn pages(&self, addr: usize, count: usize) -> Result<Vec<Page>, Error> {
        read_words(&self.file, addr / PAGE_SIZE, count)
            .map_err(|source| read_error(Path::new(&self.path), source))
    }

    /// Counts the pages that are in memory and mapped here.
    pub fn resident(&self, addr: usize, count: usize) -> Result<usize, Error> {
        let pages = self.pages(addr, count)?;
        Ok(pages.iter().filter(|page| page.is_present()).count())
    }
}

/// Reads `count` words from the word `first` on.
fn read_words(file: &File, first: usize, count: usize) -> io::Result<Vec<Page>> {
    let mut bytes = vec![0; count * size_of::<u64>()];
    file.read_exact_at(&mut bytes, (first * size_of::<u64>()) as u64)?;
    Ok(bytes
        .chunks_exact(size_of::<u64>())
        .map(|chunk| Page(u64::from_ne_bytes(chunk.try_into().unwrap_or_default())))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_their_meaning() {
        let page = Page::from((1 << 63) | (1 << 61) | (1 << 56) | (1 << 55) | 0x1234);
        assert!(page.is_present() && page.is_file() && page.is_exclusive() && page.is_soft_dirty());
        assert!(!page.is_swapped());
        assert_eq!(page.pfn(), 0x1234);
    }

    #[test]
    fn a_swapped_page_is_not_present_and_has_no_frame() {
        let page = Page::from((1 << 62) | 0x1234);
        assert!(page.is_swapped() && !page.is_present());
        assert_eq!(page.pfn(), 0);
    }

    #[test]
    fn words_are_read_in_the_order_of_the_pages() {
        let path = std::env::temp_dir().join(format!("rmmap-pagemap-{}", std::process::id()));
        let words: Vec<u8> = [0, 1 << 63, 1 << 62, (1 << 63) | 5]
            .iter()
            .flat_map(|word: &u64| word.to_ne_bytes())
            .collect();
        std::fs::write(&path, words).unwrap();
        let map = PageMap::open(path.clone()).unwrap();
        let pages = map.pages(PAGE_SIZE, 3).unwrap();
        let resident = map.resident(0, 4).unwrap();
        let beyond = map.pages(3 * PAGE_SIZE, 2);
        std::fs::remove_file(&path).unwrap();

        assert_eq!(pages, [Page(1 << 63), Page(1 << 62), Page((1 << 63) | 5)]);
        assert_eq!(resident, 2);
        assert!(matches!(beyond, Err(Error::Read { .. })));
    }
}
