// SPDX-License-Identifier: GPL-2.0

//! `/proc/kpageflags`: one word of flags for each page frame of the machine. Root only.
//!
//! C source: `stable_page_flags()` of `fs/proc/page.c`; bits in
//! `include/uapi/linux/kernel-page-flags.h` and `include/linux/kernel-page-flags.h`.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{process::read_error, Error};

/// The flags of one page frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameFlags(u64);

impl FrameFlags {
    /// Returns whether its contents are newer than the backing storage (`KPF_DIRTY`).
    pub fn is_dirty(self) -> bool {
        self.bit(4)
    }

    /// Returns whether it belongs to hugetlbfs or to a folio as large as a huge page (`KPF_HUGE`,
    /// `KPF_THP`).
    pub fn is_huge(self) -> bool {
        self.bit(17) || self.bit(22)
    }

    /// Returns whether it is locked into memory (`KPF_MLOCKED`).
    pub fn is_mlocked(self) -> bool {
        self.bit(33)
    }

    /// Returns whether the bit is set.
    fn bit(self, nr: u32) -> bool {
        (self.0 >> nr) & 1 == 1
    }
}

impl From<u64> for FrameFlags {
    fn from(word: u64) -> Self {
        Self(word)
    }
}

/// An open `kpageflags`.
#[derive(Debug)]
pub struct Frames {
    file: File,
    path: PathBuf,
}

impl Frames {
    /// Opens the file.
    pub fn open() -> Result<Self, Error> {
        Self::open_path(Path::new("/proc/kpageflags"))
    }

    fn open_path(path: &Path) -> Result<Self, Error> {
        match File::open(path) {
            Ok(file) => Ok(Self {
                file,
                path: path.to_owned(),
            }),
            Err(source) => Err(read_error(path, source)),
        }
    }

    /// Returns the flags of page frames, in their order. Reads consecutive frames together.
    pub fn flags(&self, frames: &[u64]) -> Result<Vec<FrameFlags>, Error> {
        let mut flags = Vec::with_capacity(frames.len());
        for run in frames.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
            let mut bytes = vec![0; size_of_val(run)];
            self.file
                .read_exact_at(&mut bytes, run[0] * size_of::<u64>() as u64)
                .map_err(|source| read_error(&self.path, source))?;
            let words = bytes.chunks_exact(size_of::<u64>());
            flags.extend(
                words.map(|word| {
                    FrameFlags(u64::from_ne_bytes(word.try_into().unwrap_or_default()))
                }),
            );
        }
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_their_meaning() {
        let flags = FrameFlags::from((1 << 4) | (1 << 33));
        assert!(flags.is_dirty() && flags.is_mlocked() && !flags.is_huge());
        assert!(FrameFlags::from(1 << 17).is_huge() && FrameFlags::from(1 << 22).is_huge());
    }

    #[test]
    fn frames_are_read_in_the_order_asked_for() {
        let path = std::env::temp_dir().join(format!("rmmap-kpage-{}", std::process::id()));
        let words: Vec<u8> = (0..8u64)
            .flat_map(|word| (word << 4).to_ne_bytes())
            .collect();
        std::fs::write(&path, words).unwrap();
        let frames = Frames::open_path(&path).unwrap();
        let flags = frames.flags(&[5, 1, 2, 3, 0]).unwrap();
        let beyond = frames.flags(&[7, 8]);
        std::fs::remove_file(&path).unwrap();
        let expected = [5, 1, 2, 3, 0].map(|word: u64| FrameFlags(word << 4));
        assert_eq!(flags, expected);
        assert!(matches!(beyond, Err(Error::Read { .. })));
    }
}
