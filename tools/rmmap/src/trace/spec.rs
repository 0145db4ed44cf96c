// SPDX-License-Identifier: GPL-2.0

//! The mapping to trace, in words: `anon,private,populate,length=1M`.

use std::{fmt, str::FromStr};

use rmmap_sys::rustix::mm::{MapFlags, ProtFlags};
use serde::Serialize;

use super::decode;

/// The words, for `--help` and for errors.
pub const WORDS: &str = "\
Words: object: rmmap (/dev/rmmap), region (a new one), memfd, anon; kind: shared, private; \
allocation: lazy, populate, nonblock (MAP_POPULATE|MAP_NONBLOCK), locked; protection: r, w, rw, x, \
rx, rwx, none; access: read, write, untouched; range: length=BYTES, offset=BYTES (K, M, G, T)";

/// What is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Object {
    /// The device's own region.
    Rmmap,
    /// A region made with `RMMAP_IOC_CREATE`.
    Region,
    /// A memfd.
    Memfd,
    /// Nothing.
    Anon,
}

/// When the memory is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// At the first touch.
    Lazy,
    /// `MAP_POPULATE`.
    Populate,
    /// `MAP_POPULATE | MAP_NONBLOCK`.
    Nonblock,
    /// `MAP_LOCKED`.
    Locked,
}

/// How each page is touched afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Touch {
    /// Loads a byte.
    Read,
    /// Stores a byte.
    Write,
    /// Not at all.
    Untouched,
}

/// A mapping to be traced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spec {
    /// What is mapped.
    pub object: Object,
    /// Whether stores are shared.
    pub shared: bool,
    /// When the memory is allocated.
    pub way: Way,
    /// Bits of `PROT_*`.
    pub prot: u32,
    /// How each page is touched.
    pub touch: Touch,
    /// Bytes.
    pub length: u64,
    /// First byte; `None` for new memory of the object.
    pub offset: Option<u64>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            object: Object::Rmmap,
            shared: true,
            way: Way::Lazy,
            prot: (ProtFlags::READ | ProtFlags::WRITE).bits(),
            touch: Touch::Write,
            length: 64 << 10,
            offset: None,
        }
    }
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_words(&[text])
    }
}

impl Spec {
    /// Reads words, in any order; later ones win. A word may hold several, with commas.
    pub fn from_words(words: &[impl AsRef<str>]) -> Result<Self, String> {
        let mut spec = Self::default();
        let mut touch = None;
        let separators = |c: char| c == ',' || c.is_whitespace();
        let words = words
            .iter()
            .flat_map(|word| word.as_ref().split(separators));
        for word in words.filter(|word| !word.is_empty()) {
            match word {
                "rmmap" => spec.object = Object::Rmmap,
                "region" => spec.object = Object::Region,
                "memfd" => spec.object = Object::Memfd,
                "anon" => spec.object = Object::Anon,
                "shared" => spec.shared = true,
                "private" => spec.shared = false,
                "lazy" => spec.way = Way::Lazy,
                "populate" => spec.way = Way::Populate,
                "nonblock" => spec.way = Way::Nonblock,
                "locked" => spec.way = Way::Locked,
                "read" => touch = Some(Touch::Read),
                "write" => touch = Some(Touch::Write),
                "untouched" => touch = Some(Touch::Untouched),
                word => match word.split_once('=') {
                    Some(("length", value)) => spec.length = bytes(value)?,
                    Some(("offset", value)) => spec.offset = Some(bytes(value)?),
                    _ => spec.prot = protection(word).ok_or_else(|| unknown(word))?,
                },
            }
        }
        let may = |flag: ProtFlags| spec.prot & flag.bits() != 0;
        spec.touch = touch.unwrap_or(match (may(ProtFlags::WRITE), may(ProtFlags::READ)) {
            (true, _) => Touch::Write,
            (false, true) => Touch::Read,
            (false, false) => Touch::Untouched,
        });
        Ok(spec)
    }

    /// Returns the flags of mmap(2).
    pub fn flags(&self) -> MapFlags {
        let kind = match self.shared {
            true => MapFlags::SHARED,
            false => MapFlags::PRIVATE,
        };
        // rustix does not name MAP_NONBLOCK of asm-generic/mman.h.
        let nonblock = MapFlags::from_bits_retain(0x1_0000);
        kind | match self.way {
            Way::Lazy => MapFlags::empty(),
            Way::Populate => MapFlags::POPULATE,
            Way::Nonblock => MapFlags::POPULATE | nonblock,
            Way::Locked => MapFlags::LOCKED,
        }
    }

    /// Returns the protection.
    pub fn prot(&self) -> ProtFlags {
        ProtFlags::from_bits_retain(self.prot)
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = match self.object {
            Object::Rmmap => "rmmap",
            Object::Region => "region",
            Object::Memfd => "memfd",
            Object::Anon => "anon",
        };
        let kind = if self.shared { "shared" } else { "private" };
        let way = match self.way {
            Way::Lazy => "lazy",
            Way::Populate => "populate",
            Way::Nonblock => "nonblock",
            Way::Locked => "locked",
        };
        let touch = match self.touch {
            Touch::Read => "read",
            Touch::Write => "written to",
            Touch::Untouched => "not touched",
        };
        let length = decode::size(self.length);
        write!(
            f,
            "{object} {kind} {way}, {}, {length}, {touch}",
            letters(self.prot)
        )?;
        match self.offset {
            Some(offset) => write!(f, ", from {}", decode::size(offset)),
            None => Ok(()),
        }
    }
}

/// Returns the letters of protection bits, such as `rw`.
fn letters(prot: u32) -> String {
    let all = [(1, 'r'), (2, 'w'), (4, 'x')];
    let text: String = all
        .iter()
        .filter(|(bit, _)| prot & bit != 0)
        .map(|(_, c)| c)
        .collect();
    match text.is_empty() {
        true => "none".to_owned(),
        false => text,
    }
}

/// Returns the bits of letters such as `rw`.
fn protection(word: &str) -> Option<u32> {
    if word == "none" {
        return Some(0);
    }
    let mut prot = 0;
    for letter in word.chars() {
        let bit = match letter {
            'r' => 1,
            'w' => 2,
            'x' => 4,
            _ => return None,
        };
        if prot & bit != 0 {
            return None;
        }
        prot |= bit;
    }
    Some(prot)
}

/// Reads a number of bytes: decimal or `0x…`, with an optional unit.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("`{text}` is not a number of bytes: give for example 65536, 64K or 0x10000");
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M')) => (&text[..at], 20),
        Some((at, 'G')) => (&text[..at], 30),
        Some((at, 'T')) => (&text[..at], 40),
        _ => (text, 0),
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    let number = number.map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

fn unknown(word: &str) -> String {
    format!("`{word}` does not describe a mapping. {WORDS}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_in_any_order_and_with_commas() {
        let spec = Spec::from_words(&["private,anon", "populate", "length=1M"]).unwrap();
        assert_eq!(
            (spec.object, spec.shared, spec.way),
            (Object::Anon, false, Way::Populate)
        );
        assert_eq!(spec.length, 1 << 20);
        assert_eq!("private anon,populate length=0x100000".parse(), Ok(spec));
        assert_eq!(Spec::from_words(&[] as &[&str]), Ok(Spec::default()));
    }

    #[test]
    fn the_access_follows_the_protection() {
        for (word, touch) in [
            ("rw", Touch::Write),
            ("r", Touch::Read),
            ("none", Touch::Untouched),
            ("r,write", Touch::Write),
        ] {
            assert_eq!(word.parse::<Spec>().unwrap().touch, touch, "{word}");
        }
        assert_eq!("rx".parse::<Spec>().unwrap().prot, 5);
    }

    #[test]
    fn flags_are_those_of_mmap() {
        let flags = |words: &str| words.parse::<Spec>().unwrap().flags().bits();
        assert_eq!(flags("shared"), 0x1);
        assert_eq!(flags("private,locked"), 0x2002);
        assert_eq!(flags("populate"), 0x8001);
        assert_eq!(flags("nonblock"), 0x1_8001);
    }

    #[test]
    fn wrong_words_are_named() {
        for word in [
            "xyz",
            "rr",
            "length=x",
            "length=",
            "offset=99999999999T",
            "len=4",
        ] {
            let error = word.parse::<Spec>().unwrap_err();
            let named = word.split('=').next_back().unwrap();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_mapping_says_what_it_is() {
        let spec: Spec = "memfd,private,r,offset=4K".parse().unwrap();
        assert_eq!(
            spec.to_string(),
            "memfd private lazy, r, 64 KiB, read, from 4 KiB"
        );
    }
}
