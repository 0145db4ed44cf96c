// SPDX-License-Identifier: GPL-2.0

//! The workloads: names and access patterns.

use clap::ValueEnum;
use rmmap_sys::PAGE_SIZE;
use std::ops::RangeInclusive;

/// A MiB, bytes.
pub const MIB: usize = 1 << 20;

/// Size at which all objects and workloads are compared, bytes.
pub const COMPARED: usize = 16 * MIB;
/// Size of rmmap's bulk workloads that have targets, bytes.
pub const JUDGED: usize = 256 * MIB;
/// The smallest and the largest size of the comparison of sizes, bytes.
pub const ENDS: [usize; 2] = [4 * MIB, 4096 * MIB];

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Workload {
    /// Make the object, map it, write to each page in order
    SeqWrite,
    /// Make the object, map it, read each page in order
    SeqRead,
    /// The same as seq-write, from the last page to the first
    Backward,
    /// Make the object, map it, write to a quarter of its pages in random order
    RandomWrite,
    /// Make the object, map it, write to each 2nd page in order
    Stride2,
    /// Make the object, map it, write to each 16th page in order
    Stride16,
    /// Make the object, map it, write to 2 to 16 pages in order, jump, and so on
    Bursts,
    /// Make the object, map it, write to 17 to 500 pages in order, jump, and so on
    ShortRuns,
    /// Make the object, map it, write to 2 parts of 32 MiB in turn, to each in order
    #[value(name = "streams-2")]
    Streams2,
    /// The same in 16 parts of 32 MiB
    #[value(name = "streams-16")]
    Streams16,
    /// The same in 2 parts of 16 MiB
    #[value(name = "near-streams-2")]
    NearStreams2,
    /// The same in 16 parts of 2 MiB
    #[value(name = "near-streams-16")]
    NearStreams16,
    /// Make the object, map it, write to a quarter of its pages by process_vm_writev(2), in random
    /// order
    Remote,
    /// Make the object, map it, read a disk with O_DIRECT into a quarter of its pages, in random
    /// order
    Direct,
    /// Measure seq-write fault by fault, less the cost of measuring
    SeqLatency,
    /// Measure random-write fault by fault, less the cost of measuring
    RandomLatency,
    /// Make the object, map it with MAP_POPULATE
    Populate,
    /// Make the object, map it with MAP_LOCKED
    Locked,
    /// Make the object, map it, populate it with MADV_POPULATE_WRITE
    AdvisePopulate,
    /// Make the object, allocate it with fallocate(2), map it with MAP_POPULATE
    Fallocate,
    /// Map an object that has data once more, read each page in order
    SecondMap,
    /// Make the object, map it privately, write to each page in order
    PrivateHole,
    /// Map an object that has data privately, write to each page in order
    PrivateData,
    /// Make the object, write to all of it with write(2)
    WriteCall,
    /// Read all of an object that has data with read(2)
    ReadCall,
    /// Fork with the object mapped and populated; the child exits at once
    Fork,
    /// Write to each page of a populated private mapping in a forked child
    CopyOnWrite,
    /// Move a populated mapping with mremap(2)
    Mremap,
    /// Unmap a populated mapping
    Munmap,
    /// Close the last descriptor of an object that has data
    Free,
    /// Make an object of one page, map it, write to it, unmap and close it
    Tiny,
}

impl Workload {
    /// Returns its name: on the command line, in results.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Returns the size of its objects in the comparison, bytes: patterns need room, and `tiny` is
    /// one page.
    pub fn size(self) -> usize {
        match self {
            Self::Tiny => PAGE_SIZE,
            Self::NearStreams2 | Self::NearStreams16 => 32 * MIB,
            Self::Bursts | Self::ShortRuns | Self::Streams2 => 64 * MIB,
            Self::Streams16 => 512 * MIB,
            _ => COMPARED,
        }
    }

    /// Returns whether its cost includes the zeroing of each page.
    pub fn zeroes(self) -> bool {
        use Workload::*;
        let other = [Populate, Locked, AdvisePopulate, Fallocate, PrivateHole];
        self.walk(1).is_some() && self != SeqRead || other.contains(&self)
    }

    /// Returns whether it measures the cost of single faults.
    pub fn is_latency(self) -> bool {
        matches!(self, Self::SeqLatency | Self::RandomLatency)
    }

    /// Returns the pages of an object that it touches, in its order; `None` if it does not touch
    /// pages.
    pub fn walk(self, pages: usize) -> Option<Vec<u32>> {
        let pages = pages as u32;
        let shuffled = |mut order: Vec<u32>| {
            fastrand::Rng::with_seed(1).shuffle(&mut order);
            order
        };
        // The parts follow in random order. Each has one run, of random length and at a random
        // place.
        let runs = |part: u32, lengths: RangeInclusive<u32>| {
            let part = part.min(pages);
            let mut random = fastrand::Rng::with_seed(2);
            let run = |number: u32| {
                let length = random.u32(lengths.clone()).min(part);
                let begin = number * part + random.u32(0..=part - length);
                begin..begin + length
            };
            let parts = shuffled((0..pages / part).collect());
            parts.into_iter().flat_map(run).collect()
        };
        // At most 16 MiB in total, so that each number of streams touches the same amount.
        let streams = |count: u32| {
            let (apart, each) = (pages / count, (pages / 2).min(4096) / count);
            let round = |page: u32| (0..count).map(move |stream| stream * apart + page);
            (0..each).flat_map(round).collect()
        };
        Some(match self {
            Self::SeqWrite | Self::SeqRead | Self::SeqLatency => (0..pages).collect(),
            Self::Backward => (0..pages).rev().collect(),
            Self::RandomWrite | Self::RandomLatency | Self::Remote | Self::Direct => {
                let mut order = shuffled((0..pages).collect());
                order.truncate((order.len() / 4).max(1));
                order
            }
            Self::Stride2 => (0..pages).step_by(2).collect(),
            Self::Stride16 => (0..pages).step_by(16).collect(),
            Self::Bursts => runs(32, 2..=16),
            Self::ShortRuns => runs(1024, 17..=500),
            Self::Streams2 | Self::NearStreams2 => streams(2),
            Self::Streams16 | Self::NearStreams16 => streams(16),
            _ => return None,
        })
    }

    /// The workloads with a pattern that a folio policy may mistake for another one.
    pub const PATTERNS: &[Self] = &[
        Self::Backward,
        Self::RandomWrite,
        Self::Stride2,
        Self::Stride16,
        Self::Bursts,
        Self::ShortRuns,
        Self::Streams2,
        Self::Streams16,
        Self::NearStreams2,
        Self::NearStreams16,
        Self::Remote,
        Self::Direct,
    ];

    /// Returns its description, one line.
    pub fn text(self) -> String {
        let help = self
            .to_possible_value()
            .and_then(|value| value.get_help().cloned());
        help.map_or_else(String::new, |help| help.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_repeat_and_touch_a_page_once() {
        for &workload in Workload::value_variants() {
            let pages = workload.size() / PAGE_SIZE;
            let Some(walk) = workload.walk(pages) else {
                continue;
            };
            assert_eq!(walk, workload.walk(pages).unwrap());
            let mut sorted = walk.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), walk.len(), "{workload:?}");
            assert!(walk.iter().all(|&page| (page as usize) < pages));
        }
        let walk = |workload: Workload, pages| workload.walk(pages).unwrap();
        assert_eq!(walk(Workload::Streams2, 16), [0, 8, 1, 9, 2, 10, 3, 11]);
        assert_eq!(walk(Workload::Backward, 3), [2, 1, 0]);
        assert_eq!(walk(Workload::RandomWrite, 64).len(), 16);
        let runs = walk(Workload::ShortRuns, 16384);
        let jumps = runs.windows(2).filter(|two| two[1] != two[0] + 1).count();
        assert_eq!(jumps, 15);
        assert!((16 * 17..=16 * 500).contains(&runs.len()));
    }

    #[test]
    fn all_have_a_name_and_a_text() {
        assert_eq!(Workload::SeqWrite.name(), "seq-write");
        assert!(Workload::value_variants()
            .iter()
            .all(|workload| !workload.text().is_empty()));
    }
}
