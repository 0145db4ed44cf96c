// SPDX-License-Identifier: GPL-2.0

//! Protections and flags of mmap(2) by name.
//!
//! C source: `include/uapi/asm-generic/mman-common.h`, `mman.h` and
//! `arch/x86/include/uapi/asm/mman.h`.

/// Names of protections: on the command line, in C, and the bits.
pub const PROT: [(&str, &str, u32); 7] = [
    ("none", "PROT_NONE", 0),
    ("read", "PROT_READ", 0x1),
    ("write", "PROT_WRITE", 0x2),
    ("exec", "PROT_EXEC", 0x4),
    ("sem", "PROT_SEM", 0x8),
    ("growsdown", "PROT_GROWSDOWN", 0x0100_0000),
    ("growsup", "PROT_GROWSUP", 0x0200_0000),
];

/// The bits of a mapping's type.
pub const MAP_TYPE: u32 = 0xf;
/// `MAP_SHARED`.
pub const MAP_SHARED: u32 = 0x1;
/// `MAP_PRIVATE`.
pub const MAP_PRIVATE: u32 = 0x2;
/// `MAP_SHARED_VALIDATE`.
pub const MAP_SHARED_VALIDATE: u32 = 0x3;
/// `MAP_DROPPABLE`.
pub const MAP_DROPPABLE: u32 = 0x8;
/// `MAP_FIXED`.
pub const MAP_FIXED: u32 = 0x10;
/// `MAP_GROWSDOWN`.
pub const MAP_GROWSDOWN: u32 = 0x100;
/// `MAP_LOCKED`.
pub const MAP_LOCKED: u32 = 0x2000;
/// `MAP_HUGETLB`.
pub const MAP_HUGETLB: u32 = 0x4_0000;
/// `MAP_SYNC`.
pub const MAP_SYNC: u32 = 0x8_0000;
/// `MAP_FIXED_NOREPLACE`.
pub const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;

/// Names of flags: on the command line, in C, and the bits. The types come first.
pub const FLAGS: [(&str, &str, u32); 22] = [
    (
        "shared-validate",
        "MAP_SHARED_VALIDATE",
        MAP_SHARED_VALIDATE,
    ),
    ("shared", "MAP_SHARED", MAP_SHARED),
    ("private", "MAP_PRIVATE", MAP_PRIVATE),
    ("droppable", "MAP_DROPPABLE", MAP_DROPPABLE),
    ("fixed", "MAP_FIXED", MAP_FIXED),
    ("anonymous", "MAP_ANONYMOUS", 0x20),
    ("32bit", "MAP_32BIT", 0x40),
    ("above4g", "MAP_ABOVE4G", 0x80),
    ("growsdown", "MAP_GROWSDOWN", MAP_GROWSDOWN),
    ("denywrite", "MAP_DENYWRITE", 0x800),
    ("executable", "MAP_EXECUTABLE", 0x1000),
    ("locked", "MAP_LOCKED", MAP_LOCKED),
    ("noreserve", "MAP_NORESERVE", 0x4000),
    ("populate", "MAP_POPULATE", 0x8000),
    ("nonblock", "MAP_NONBLOCK", 0x1_0000),
    ("stack", "MAP_STACK", 0x2_0000),
    (
        "hugetlb-2m",
        "MAP_HUGETLB|MAP_HUGE_2MB",
        MAP_HUGETLB | (21 << 26),
    ),
    (
        "hugetlb-1g",
        "MAP_HUGETLB|MAP_HUGE_1GB",
        MAP_HUGETLB | (30 << 26),
    ),
    ("hugetlb", "MAP_HUGETLB", MAP_HUGETLB),
    ("sync", "MAP_SYNC", MAP_SYNC),
    ("noreplace", "MAP_FIXED_NOREPLACE", MAP_FIXED_NOREPLACE),
    ("uninitialized", "MAP_UNINITIALIZED", 0x400_0000),
];

/// One word of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// The bits.
    pub bits: u32,
    /// Whether it was written as a number: then the list is literal.
    pub raw: bool,
}

/// Parses a protection.
pub fn prot(text: &str) -> Result<Word, String> {
    parse(text, &PROT, "protection")
}

/// Parses a flag.
pub fn flag(text: &str) -> Result<Word, String> {
    parse(text, &FLAGS, "flag")
}

fn parse(text: &str, table: &[(&str, &str, u32)], what: &str) -> Result<Word, String> {
    if let Some(digits) = text.strip_prefix("0x") {
        let bits = u32::from_str_radix(digits, 16)
            .map_err(|_| format!("`{text}` is not a 32-bit number"))?;
        return Ok(Word { bits, raw: true });
    }
    let name = text.to_ascii_lowercase().replace('_', "-");
    let name = name.strip_prefix("map-").unwrap_or(&name);
    let name = name.strip_prefix("prot-").unwrap_or(name);
    let name = match name {
        "fixed-noreplace" => "noreplace",
        "anon" => "anonymous",
        name => name,
    };
    match table.iter().find(|(known, ..)| *known == name) {
        Some((.., bits)) => Ok(Word {
            bits: *bits,
            raw: false,
        }),
        None => {
            let names: Vec<_> = table.iter().map(|(name, ..)| *name).collect();
            Err(format!(
                "`{text}` is not a {what}: give {}, or a number such as 0x1000",
                names.join(", ")
            ))
        }
    }
}

/// Returns the bits of a list of protections.
pub fn prot_bits(words: &[Word]) -> u32 {
    words.iter().fold(0, |bits, word| bits | word.bits)
}

/// Returns the bits of a list of flags. A list that names no type gets `default`, unless a number
/// is in it.
pub fn flag_bits(words: &[Word], default: u32) -> u32 {
    let bits = prot_bits(words);
    let is_literal = words.iter().any(|word| word.raw);
    match bits & MAP_TYPE == 0 && !is_literal {
        true => bits | default,
        false => bits,
    }
}

/// Writes protections as in C.
pub fn show_prot(bits: u32) -> String {
    match bits {
        0 => "PROT_NONE".to_owned(),
        bits => show(bits, &PROT[1..]),
    }
}

/// Writes flags as in C.
pub fn show_flags(bits: u32) -> String {
    let kind = bits & MAP_TYPE;
    let types = FLAGS[..4].iter();
    let kind = match types.into_iter().find(|(.., known)| *known == kind) {
        Some((_, name, _)) => (*name).to_owned(),
        None => format!("{kind:#x}"),
    };
    match show(bits & !MAP_TYPE, &FLAGS[4..]) {
        rest if rest.is_empty() => kind,
        rest => format!("{kind}|{rest}"),
    }
}

fn show(bits: u32, table: &[(&str, &str, u32)]) -> String {
    let mut left = bits;
    let mut names = Vec::new();
    for (_, name, known) in table {
        if *known != 0 && left & known == *known {
            names.push((*name).to_owned());
            left &= !known;
        }
    }
    if left != 0 {
        names.push(format!("{left:#x}"));
    }
    names.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(text: &str) -> Vec<Word> {
        text.split(',').map(|word| flag(word).unwrap()).collect()
    }

    #[test]
    fn every_name_is_understood_and_shown_again() {
        for (name, c, bits) in FLAGS {
            assert_eq!(flag(name), Ok(Word { bits, raw: false }), "{name}");
            let shown = show_flags(bits | u32::from(bits & MAP_TYPE == 0));
            assert!(shown.ends_with(c), "{name}: {shown}");
        }
        for (name, c, bits) in PROT {
            assert_eq!(prot(name).unwrap().bits, bits);
            assert_eq!(show_prot(bits), c);
        }
    }

    #[test]
    fn names_of_c_are_understood_too() {
        assert_eq!(
            flag("MAP_FIXED_NOREPLACE").unwrap().bits,
            MAP_FIXED_NOREPLACE
        );
        assert_eq!(flag("MAP_SHARED_VALIDATE").unwrap().bits, 3);
        assert_eq!(prot("PROT_READ").unwrap().bits, 1);
    }

    #[test]
    fn a_list_without_a_type_gets_one() {
        assert_eq!(flag_bits(&flags("populate"), MAP_SHARED), 0x8001);
        assert_eq!(flag_bits(&flags("private,locked"), MAP_SHARED), 0x2002);
        assert_eq!(flag_bits(&[], MAP_PRIVATE), MAP_PRIVATE);
        assert_eq!(flag_bits(&flags("0x0"), MAP_SHARED), 0);
        assert_eq!(flag_bits(&flags("0x8000"), MAP_SHARED), 0x8000);
    }

    #[test]
    fn unknown_bits_are_shown_as_numbers() {
        assert_eq!(show_flags(0x0200_0001), "MAP_SHARED|0x2000000");
        assert_eq!(show_flags(0xf), "0xf");
        assert_eq!(show_prot(0x13), "PROT_READ|PROT_WRITE|0x10");
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let text = flag("norserve").unwrap_err();
        assert!(
            text.contains("noreserve") && text.contains("0x1000"),
            "{text}"
        );
        assert!(prot("0x").is_err());
    }
}
