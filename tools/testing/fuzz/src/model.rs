// SPDX-License-Identifier: GPL-2.0

//! The model: what each byte of each file is, and what is mapped at each page of each arena.

use rmmap_sys::PAGE_SIZE;

/// The bytes of a page.
pub type Page = Box<[u8; PAGE_SIZE]>;

const SIZE: u64 = PAGE_SIZE as u64;

/// A page of zeroes.
pub fn zeroes() -> Page {
    Box::new([0; PAGE_SIZE])
}

/// What a file is in the world of regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A created region.
    Region,
    /// The device.
    Device,
}

/// A file, the same in both worlds.
#[derive(Clone, Debug)]
pub struct File {
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    /// Its pages; `None` is a page of zeroes.
    pub pages: Vec<Option<Page>>,
    /// Pages that must be in memory: somebody stored there, or read through a mapping.
    pub touched: Vec<bool>,
    /// Whether a pipe may hold pages of it.
    pub held: bool,
    /// A page that a pipe may hold.
    pub held_at: usize,
    /// Whether a hole was made in it meanwhile.
    pub torn: bool,
    /// Whether a descriptor of it appends.
    pub appends: bool,
    /// The seals that were added.
    pub seals: u32,
}

impl File {
    /// A file without data.
    pub fn new(kind: Kind, size: u64) -> Self {
        Self {
            kind,
            size,
            pages: Vec::new(),
            touched: Vec::new(),
            held: false,
            held_at: 0,
            torn: false,
            appends: false,
            seals: 0,
        }
    }

    /// The number of pages up to EOF.
    pub fn size_pages(&self) -> usize {
        self.size.div_ceil(SIZE) as usize
    }

    /// The page, to be changed.
    fn page_mut(&mut self, index: usize) -> &mut Page {
        self.touch(index);
        self.pages[index].get_or_insert_with(zeroes)
    }

    /// Notes that a page is in memory.
    pub fn touch(&mut self, index: usize) {
        if index >= self.pages.len() {
            self.pages.resize(index + 1, None);
            self.touched.resize(index + 1, false);
        }
        self.touched[index] = true;
    }

    /// Bytes of the file, those past EOF included.
    pub fn bytes(&self, off: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        for (index, within, at, n) in pieces(off, len) {
            if let Some(Some(page)) = self.pages.get(index) {
                bytes[at..at + n].copy_from_slice(&page[within..within + n]);
            }
        }
        bytes
    }

    /// The number of bytes that a read of `len` at `off` gets.
    pub fn readable(&self, off: u64, len: usize) -> usize {
        self.size.saturating_sub(off).min(len as u64) as usize
    }

    /// Stores bytes, through a mapping or as part of a write.
    pub fn store(&mut self, off: u64, data: &[u8]) {
        for (index, within, at, n) in pieces(off, data.len()) {
            self.page_mut(index)[within..within + n].copy_from_slice(&data[at..at + n]);
        }
    }

    /// What write(2) does.
    pub fn write(&mut self, off: u64, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        if off + data.len() as u64 > self.size {
            self.grow(off + data.len() as u64);
        }
        self.store(off, data);
    }

    /// Sets a larger size. Bytes that a mapping stored past EOF do not become part of the file.
    pub fn grow(&mut self, size: u64) {
        if size <= self.size {
            return;
        }
        self.empty_tail();
        self.size = size;
    }

    /// Zeroes bytes of pages that are there.
    fn zero(&mut self, from: u64, to: u64) {
        for (index, within, _, n) in pieces(from, to.saturating_sub(from) as usize) {
            if let Some(Some(page)) = self.pages.get_mut(index) {
                page[within..within + n].fill(0);
            }
        }
    }

    /// Whether mappings stored something past EOF in the last page.
    pub fn has_tail(&self) -> bool {
        let end = self.size.next_multiple_of(SIZE);
        let tail = self.bytes(self.size, (end - self.size) as usize);
        tail.iter().any(|byte| *byte != 0)
    }

    /// Zeroes what mappings stored past EOF in the last page. Returns whether it changes anything.
    pub fn empty_tail(&mut self) -> bool {
        let had = self.has_tail();
        self.zero(self.size, self.size.next_multiple_of(SIZE));
        had
    }

    /// What ftruncate(2) does. Pages past EOF stay when the file grows.
    pub fn resize(&mut self, size: u64) {
        if size > self.size {
            return self.grow(size);
        }
        let first = size.div_ceil(SIZE) as usize;
        self.zero(size, first as u64 * SIZE);
        self.size = size;
        if first < self.pages.len() {
            self.pages.truncate(first);
            self.touched.truncate(first);
        }
    }

    /// Frees the pages of a range, and zeroes those that it covers in part.
    pub fn punch(&mut self, off: u64, len: u64) {
        let end = off.saturating_add(len).min(self.pages.len() as u64 * SIZE);
        self.torn |= self.held;
        self.zero(off, end);
        for index in whole_pages(off, end) {
            self.pages[index] = None;
            self.touched[index] = false;
        }
    }

    /// Notes that the pages of a range are in memory.
    pub fn allocate(&mut self, off: u64, len: u64) {
        for index in (off / SIZE) as usize..(off + len).div_ceil(SIZE) as usize {
            self.touch(index);
        }
    }
}

/// The pages that lie completely in a range of bytes.
pub fn whole_pages(off: u64, end: u64) -> std::ops::Range<usize> {
    off.div_ceil(SIZE) as usize..(end / SIZE) as usize
}

/// The pieces of a range of bytes by page: page, byte within, byte of the range, length.
pub fn pieces(off: u64, len: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = off + done as u64;
        let within = (at % SIZE) as usize;
        let n = (PAGE_SIZE - within).min(len - done);
        let piece = ((at / SIZE) as usize, within, done, n);
        done += n;
        (n > 0).then_some(piece)
    })
}

/// A page of an arena.
#[derive(Clone, Debug, Default)]
pub enum Slot {
    /// Nothing is mapped there.
    #[default]
    Free,
    /// A call failed half way: the model does not say what is there.
    Unknown,
    /// A page of a file.
    File(Mapped),
}

/// A page of a file, as it is mapped.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// The file.
    pub file: usize,
    /// Its page.
    pub page: usize,
    /// Whether the mapping is shared.
    pub shared: bool,
    /// The protection.
    pub prot: i32,
    /// A private copy.
    pub copy: Option<Page>,
    /// Whether the kernel may have made a private copy that the model does not know.
    pub vague: bool,
    /// Whether a child does not get it.
    pub no_fork: bool,
}

/// What an access gets.
pub enum Access<T> {
    /// A result.
    Got(T),
    /// A signal: number and `si_code`.
    Fault(u8, i32),
    /// The model does not know.
    Unknown,
}

/// An actor's memory.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Its pages.
    pub slots: Vec<Slot>,
    /// Whether it ever locked memory: locked mappings get their pages at once.
    pub locks: bool,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Model {
    /// The files.
    pub files: Vec<File>,
    /// The actors; `None` for those that do not exist.
    pub actors: Vec<Option<Memory>>,
    /// Whether both worlds have memfds.
    pub only_memfds: bool,
    /// Where the next operation writes, where it does that at the position of its descriptor.
    pub position: Option<u64>,
}

const NONE: Slot = Slot::Free;
/// SIGBUS with `BUS_ADRERR`.
const BEYOND: (u8, i32) = (7, 2);
/// SIGSEGV with `SEGV_MAPERR`.
const UNMAPPED: (u8, i32) = (11, 1);
/// SIGSEGV with `SEGV_ACCERR`.
const FORBIDDEN: (u8, i32) = (11, 2);
const READ: i32 = 1;
const WRITE: i32 = 2;

impl Model {
    /// The slot of an arena's page.
    pub fn slot(&self, actor: usize, page: usize) -> &Slot {
        let memory = self.actors.get(actor).and_then(Option::as_ref);
        memory
            .and_then(|memory| memory.slots.get(page))
            .unwrap_or(&NONE)
    }

    /// Whether an actor locks what it maps.
    pub fn is_locking(&self, actor: usize) -> bool {
        let memory = self.actors[actor].as_ref();
        memory.is_some_and(|memory| memory.locks)
    }

    /// The slots of a range.
    pub fn slots_mut(&mut self, actor: usize, page: usize, pages: usize) -> &mut [Slot] {
        match self.actors[actor].as_mut() {
            Some(memory) if page + pages <= memory.slots.len() => {
                &mut memory.slots[page..page + pages]
            }
            _ => &mut [],
        }
    }

    /// Loads `n` bytes that lie in one page.
    pub fn load(&mut self, actor: usize, at: usize, n: usize) -> Access<Vec<u8>> {
        let (page, within) = (at / PAGE_SIZE, at % PAGE_SIZE);
        let (file, index) = match self.slot(actor, page) {
            Slot::Free => return Access::Fault(UNMAPPED.0, UNMAPPED.1),
            Slot::Unknown => return Access::Unknown,
            Slot::File(mapped) => {
                if mapped.prot & (READ | WRITE) == 0 {
                    // A processor with protection keys has pages that are executable only.
                    return match mapped.prot {
                        0 => Access::Fault(FORBIDDEN.0, FORBIDDEN.1),
                        _ => Access::Unknown,
                    };
                }
                if mapped.vague {
                    return Access::Unknown;
                }
                if let Some(copy) = &mapped.copy {
                    return Access::Got(copy[within..within + n].to_vec());
                }
                (mapped.file, mapped.page)
            }
        };
        let file = &mut self.files[file];
        if index >= file.size_pages() {
            return Access::Fault(BEYOND.0, BEYOND.1);
        }
        file.touch(index);
        Access::Got(file.bytes((index * PAGE_SIZE + within) as u64, n))
    }

    /// Stores bytes in one page. Returns the file that changed, if one did.
    pub fn store(&mut self, actor: usize, at: usize, data: &[u8]) -> Access<Option<(usize, u64)>> {
        let (page, within) = (at / PAGE_SIZE, at % PAGE_SIZE);
        let (files, actors) = (&mut self.files, &mut self.actors);
        let slot = actors[actor]
            .as_mut()
            .and_then(|memory| memory.slots.get_mut(page));
        let mapped = match slot {
            None | Some(Slot::Free) => return Access::Fault(UNMAPPED.0, UNMAPPED.1),
            Some(Slot::Unknown) => return Access::Unknown,
            Some(Slot::File(mapped)) => mapped,
        };
        if mapped.prot & WRITE == 0 {
            return Access::Fault(FORBIDDEN.0, FORBIDDEN.1);
        }
        let file = &mut files[mapped.file];
        if mapped.shared {
            if mapped.page >= file.size_pages() {
                return Access::Fault(BEYOND.0, BEYOND.1);
            }
            let off = (mapped.page * PAGE_SIZE + within) as u64;
            file.store(off, data);
            return Access::Got(Some((mapped.file, off)));
        }
        if mapped.vague {
            return Access::Unknown;
        }
        if mapped.copy.is_none() {
            if mapped.page >= file.size_pages() {
                return Access::Fault(BEYOND.0, BEYOND.1);
            }
            let mut copy = zeroes();
            copy.copy_from_slice(&file.bytes((mapped.page * PAGE_SIZE) as u64, PAGE_SIZE));
            mapped.copy = Some(copy);
        }
        if let Some(copy) = &mut mapped.copy {
            copy[within..within + data.len()].copy_from_slice(data);
        }
        Access::Got(None)
    }

    /// What a truncation does to private copies.
    pub fn drop_copies(&mut self, file: usize, first: usize) {
        for memory in self.actors.iter_mut().flatten() {
            for slot in &mut memory.slots {
                match slot {
                    Slot::File(mapped) if mapped.file == file && mapped.page >= first => {
                        mapped.copy = None;
                    }
                    _ => {}
                }
            }
        }
    }

    /// Notes that private mappings may have copies of their pages.
    pub fn blur(&mut self, actor: usize, page: usize, pages: usize) {
        for slot in self.slots_mut(actor, page, pages) {
            if let Slot::File(mapped) = slot {
                mapped.vague |= !mapped.shared;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_shows_no_bytes_from_past_its_end() {
        let mut file = File::new(Kind::Region, 10);
        file.store(8, &[7; 8]);
        assert_eq!(
            file.bytes(0, 16),
            [0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7]
        );
        file.grow(12);
        assert_eq!(file.bytes(8, 8), [7, 7, 0, 0, 0, 0, 0, 0]);
        file.resize(9);
        file.write(11, &[1]);
        assert_eq!((file.size, file.bytes(8, 4)), (12, vec![7, 0, 0, 1]));
    }

    #[test]
    fn a_truncation_frees_pages_past_the_end_unless_the_file_grows() {
        let mut file = File::new(Kind::Region, 10);
        file.allocate(0, 4 * SIZE);
        file.resize(11);
        assert_eq!(file.touched, [true; 4]);
        file.store(12, &[7]);
        assert!(file.empty_tail() && !file.empty_tail());
        file.store(12, &[7]);
        file.resize(11);
        assert_eq!((file.touched.len(), file.bytes(12, 1)), (1, vec![0]));
    }

    #[test]
    fn a_hole_frees_whole_pages_and_zeroes_the_rest() {
        let mut file = File::new(Kind::Region, 0);
        file.write(0, &[1; 3 * PAGE_SIZE]);
        file.punch(1, 2 * SIZE);
        assert_eq!(file.touched, [true, false, true]);
        assert_eq!(
            (file.bytes(0, 2), file.bytes(2 * SIZE, 2)),
            (vec![1, 0], vec![0, 1])
        );
        assert_eq!(file.readable(3 * SIZE - 1, 9), 1);
    }
}
