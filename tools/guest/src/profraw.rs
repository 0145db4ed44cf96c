// SPDX-License-Identifier: GPL-2.0

//! LLVM's raw profile, which `llvm-profdata` reads, made from the sections of a loaded module.
//!
//! LLVM source: `INSTR_PROF_RAW_HEADER` and `INSTR_PROF_DATA` of
//! `llvm/include/llvm/ProfileData/InstrProfData.inc`, version 10 (LLVM 19, which rustc 1.85 has).
//! `llvm-profdata` refuses any other version than its own, so a change of compilers fails visibly.

/// The section of a module with a record for each function.
pub const DATA: &str = "__llvm_prf_data";
/// The section with the counters.
pub const COUNTERS: &str = "__llvm_prf_cnts";
/// The section with the functions' names, compressed.
pub const NAMES: &str = "__llvm_prf_names";

/// Size of a record of [`DATA`].
const RECORD: usize = 64;
/// `"\xfflprofr\x81"`, written as a number of this machine.
const MAGIC: u64 = u64::from_be_bytes(*b"\xfflprofr\x81");
const VERSION: u64 = 10;
/// `IPVK_Last`: kinds of values that are also profiled. rustc profiles none.
const VALUE_KIND_LAST: u64 = 2;

/// The counters of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    addresses: [u64; 3],
    data: Vec<u8>,
    counters: Vec<u64>,
    names: Vec<u8>,
}

impl Profile {
    /// Makes a profile from sections as they are in memory at these addresses: data, counters,
    /// names. Returns `None` if their sizes are impossible.
    pub fn new(
        addresses: [u64; 3],
        data: Vec<u8>,
        counters: &[u8],
        names: Vec<u8>,
    ) -> Option<Self> {
        if data.len() % RECORD != 0 || counters.len() % 8 != 0 {
            return None;
        }
        let words = counters.chunks_exact(8);
        let counters = words.map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default()));
        Some(Self {
            addresses,
            data,
            counters: counters.collect(),
            names,
        })
    }

    /// Returns whether this profile comes from a later load than `other`: counters never shrink
    /// while a module is loaded.
    pub fn began_after(&self, other: &Self) -> bool {
        let pairs = self.counters.iter().zip(&other.counters);
        self.addresses != other.addresses || pairs.clone().any(|(now, before)| now < before)
    }

    /// Adds the counters of another load of the same module.
    pub fn add(&mut self, other: &Self) {
        for (counter, more) in self.counters.iter_mut().zip(&other.counters) {
            *counter = counter.saturating_add(*more);
        }
    }

    /// Returns the contents of a `.profraw` file.
    pub fn to_raw(&self) -> Vec<u8> {
        let [data, counters, names] = self.addresses;
        let header = [
            MAGIC,
            VERSION,
            0, // Bytes of build ids.
            (self.data.len() / RECORD) as u64,
            0, // Padding before the counters.
            self.counters.len() as u64,
            0, // Padding after the counters.
            0, // Bytes of bitmaps (MC/DC).
            0, // Padding after them.
            self.names.len() as u64,
            counters.wrapping_sub(data),
            0u64.wrapping_sub(data), // Bitmaps, of which there are none.
            names,
            0, // Records of virtual tables.
            0, // Bytes of their names.
            VALUE_KIND_LAST,
        ];
        let mut raw: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
        raw.extend(&self.data);
        raw.extend(self.counters.iter().flat_map(|word| word.to_ne_bytes()));
        raw.extend(&self.names);
        raw.resize(raw.len().next_multiple_of(8), 0);
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(counters: [u64; 2], at: u64) -> Profile {
        let bytes: Vec<u8> = counters
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        let addresses = [at, at + 0x100, at + 0x200];
        Profile::new(addresses, vec![7; RECORD], &bytes, b"abc".to_vec()).unwrap()
    }

    #[test]
    fn a_reload_is_seen_by_counters_that_shrank_or_moved() {
        let first = profile([5, 0], 0x1000);
        assert!(!profile([5, 3], 0x1000).began_after(&first));
        assert!(profile([4, 9], 0x1000).began_after(&first));
        assert!(profile([5, 0], 0x2000).began_after(&first));
    }

    #[test]
    fn loads_are_added_up() {
        let mut sum = profile([5, 0], 0x1000);
        sum.add(&profile([1, u64::MAX], 0x2000));
        assert_eq!(sum.counters, [6, u64::MAX]);
    }

    #[test]
    fn a_raw_profile_begins_with_its_magic_and_has_all_parts() {
        let raw = profile([5, 6], 0x1000).to_raw();
        // As LLVM writes it on a little-endian machine.
        assert_eq!(&raw[..8], b"\x81rforpl\xff");
        assert_eq!(raw.len(), 16 * 8 + RECORD + 2 * 8 + 8);
        assert_eq!(raw[16 * 8], 7);
        assert_eq!(&raw[16 * 8 + RECORD..][..8], 5u64.to_ne_bytes());
        assert_eq!(&raw[raw.len() - 8..], b"abc\0\0\0\0\0");
    }

    #[test]
    fn sections_of_odd_sizes_are_none() {
        assert!(Profile::new([0; 3], vec![0; 63], &[], Vec::new()).is_none());
        assert!(Profile::new([0; 3], vec![0; 64], &[1], Vec::new()).is_none());
    }
}
