// SPDX-License-Identifier: GPL-2.0

//! `VmFlags` of `/proc/PID/smaps` in words.
//!
//! C source: `show_smap_vma_flags()` of `fs/proc/task_mmu.c`.

use rmmap_procfs::VmFlags;

const WORDS: [(&str, &str); 38] = [
    ("rd", "readable"),
    ("wr", "writable"),
    ("ex", "executable"),
    ("sh", "shared"),
    ("mr", "may become readable"),
    ("mw", "may become writable"),
    ("me", "may become executable"),
    ("ms", "may be shared"),
    ("gd", "grows down"),
    ("pf", "raw page frames"),
    ("gu", "may have guard pages"),
    ("lo", "locked"),
    ("io", "memory of a device"),
    ("sr", "read ahead"),
    ("rr", "read at random"),
    ("dc", "not copied by fork"),
    ("de", "cannot expand"),
    ("lf", "locked as it faults in"),
    ("ac", "counted against the commit limit"),
    ("nr", "no reserve"),
    ("ht", "huge pages of hugetlbfs"),
    ("sf", "synchronous faults (DAX)"),
    ("ar", "architecture's own"),
    ("wf", "zeroed by fork"),
    ("dd", "not dumped"),
    ("sd", "soft-dirty"),
    ("mm", "pages and page frames mixed"),
    ("hg", "huge pages wanted"),
    ("nh", "no huge pages"),
    ("mg", "may be merged by KSM"),
    ("um", "userfaultfd: missing pages"),
    ("uw", "userfaultfd: write protection"),
    ("ui", "userfaultfd: minor faults"),
    ("ur", "userfaultfd: all accesses"),
    ("ss", "shadow stack"),
    ("dp", "droppable"),
    ("sl", "sealed"),
    ("??", "unknown"),
];

/// Returns the meaning of a flag, or an unknown flag itself.
pub fn word(flag: &str) -> &str {
    WORDS
        .iter()
        .find_map(|(name, word)| (*name == flag).then_some(*word))
        .unwrap_or(flag)
}

/// Returns all flags, each with its meaning: `rd readable, lo locked`.
pub fn words(flags: &VmFlags) -> String {
    let words: Vec<_> = flags
        .iter()
        .map(|flag| format!("{flag} {}", word(flag)))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_words_in_the_kernels_order() {
        let flags = VmFlags::parse("rd sh lo lf");
        assert_eq!(
            words(&flags),
            "rd readable, sh shared, lo locked, lf locked as it faults in"
        );
    }

    #[test]
    fn a_flag_of_a_newer_kernel_stands_for_itself() {
        assert_eq!(words(&VmFlags::parse("zz")), "zz zz");
    }

    #[test]
    fn no_flag_is_there_twice() {
        for (index, (flag, _)) in WORDS.iter().enumerate() {
            assert!(
                WORDS[..index].iter().all(|(other, _)| other != flag),
                "{flag}"
            );
        }
    }
}
