// SPDX-License-Identifier: GPL-2.0

//! The kernel's taint mask, which shows even reports whose words `klog` does not know.

use std::fs;

use anyhow::{Context, Result};

/// The letters of the bits, from bit 0 on, as `kernel/panic.c` has them in `taint_flags[]`.
const LETTERS: &str = "PFSRMBUDAWCIOELKXTNJ";

/// Loading a module that is not the kernel's own, and is not signed.
const LOADED: &str = "OE";
/// A warning.
const WARNED: &str = "W";
/// A KUnit suite ran.
const TESTED: &str = "N";
/// Debian's kernel sets it for a listener that may refuse accesses (`fanotify_user.c`), as in the
/// test of row VM-02.
const LISTENED: &str = "X";

/// The mask at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask(u64);

impl Mask {
    /// Reads it.
    pub fn read() -> Result<Self> {
        let path = "/proc/sys/kernel/tainted";
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        Ok(Self(text.trim().parse().context("unreadable mask")?))
    }

    /// Returns the letters of the bits that are new since `before` and not allowed. Always allowed
    /// are those of a loaded module and of a fanotify listener; that of a warning if a test causes
    /// one, and that of KUnit where suites run.
    pub fn new_since(self, before: Self, is_warned: bool, has_kunit: bool) -> Option<String> {
        let new = self.0 & !before.0;
        let letter = |bit: u32| match LETTERS.as_bytes().get(bit as usize) {
            Some(&letter) => char::from(letter).to_string(),
            None => format!("(bit {bit})"),
        };
        let is_allowed = |letter: &String| {
            LOADED.contains(letter.as_str())
                || letter == LISTENED
                || (is_warned && letter == WARNED)
                || (has_kunit && letter == TESTED)
        };
        let bits = (0..u64::BITS).filter(|bit| (new >> bit) & 1 == 1);
        let letters: String = bits.map(letter).filter(|new| !is_allowed(new)).collect();
        (!letters.is_empty()).then_some(letters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOADED: u64 = (1 << 12) | (1 << 13);

    #[test]
    fn a_loaded_module_taints_nothing_that_matters() {
        assert_eq!(Mask(LOADED).new_since(Mask(0), false, false), None);
    }

    #[test]
    fn new_bits_are_named_unless_they_are_asked_for() {
        let found = |bits, warned, kunit| Mask(bits).new_since(Mask(LOADED), warned, kunit);
        assert_eq!(found((1 << 5) | (1 << 9), false, false), Some("BW".into()));
        assert_eq!(found((1 << 5) | (1 << 9), true, false), Some("B".into()));
        assert_eq!(found(1 << 18, false, false), Some("N".into()));
        assert_eq!(found(1 << 18, false, true), None);
        assert_eq!(found(1 << 16, false, false), None);
        assert_eq!(found(1 << 40, true, true), Some("(bit 40)".into()));
    }

    #[test]
    fn what_was_there_before_is_not_new() {
        assert_eq!(Mask(1 << 9).new_since(Mask(1 << 9), false, false), None);
    }
}
