// SPDX-License-Identifier: GPL-2.0

//! `/proc/PID/maps`: the mappings of a process.

use std::ops::Range;

use crate::error::BadLine;

/// One line of `maps`, which is also the first line of an entry of `smaps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// First address of the mapping, and first address past it.
    pub range: Range<usize>,
    /// Permissions as the kernel prints them, for example `rw-s`.
    pub perms: String,
    /// Offset in the file, bytes.
    pub offset: u64,
    /// Device and inode of the file, for example `00:05` and 314.
    pub dev: String,
    /// Inode of the file, 0 without a file.
    pub inode: u64,
    /// Name of the file or of the mapping, `None` for anonymous memory.
    pub name: Option<String>,
}

impl Map {
    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Returns whether the mapping has no length, which the kernel never shows.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Returns whether stores are shared (`s`), not copied on write (`p`).
    pub fn is_shared(&self) -> bool {
        self.perms.ends_with('s')
    }
}

/// Parses the whole file.
pub fn parse(text: &str) -> Result<Vec<Map>, BadLine> {
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            parse_line(line).ok_or_else(|| BadLine {
                line: index + 1,
                text: line.to_owned(),
            })
        })
        .collect()
}

/// Parses one line; returns `None` if it has another form.
pub(crate) fn parse_line(line: &str) -> Option<Map> {
    let mut rest = line;
    let mut word = || {
        let (word, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = tail;
        word
    };
    let (start, end) = word().split_once('-')?;
    let perms = word();
    let offset = word();
    let dev = word();
    let inode = word();
    let name = rest.trim_start();
    Some(Map {
        range: usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?,
        perms: (perms.len() == 4).then(|| perms.to_owned())?,
        offset: u64::from_str_radix(offset, 16).ok()?,
        dev: dev.to_owned(),
        inode: inode.parse().ok()?,
        name: (!name.is_empty()).then(|| name.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
7f2c00000000-7f2c00010000 rw-s 00007000 00:05 314                        /dev/rmmap
7f2c00020000-7f2c00021000 rw-p 00000000 00:00 0 
7f2c00030000-7f2c00040000 rw-s 00000000 00:01 1025                       /dev/zero (deleted)
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn fields_of_a_device_mapping() {
        let maps = parse(TEXT).unwrap();
        assert_eq!(
            maps[0],
            Map {
                range: 0x7f2c_0000_0000..0x7f2c_0001_0000,
                perms: "rw-s".into(),
                offset: 0x7000,
                dev: "00:05".into(),
                inode: 314,
                name: Some("/dev/rmmap".into()),
            }
        );
        assert_eq!(maps[0].len(), 65536);
        assert!(maps[0].is_shared());
    }

    #[test]
    fn anonymous_memory_has_no_name() {
        let maps = parse(TEXT).unwrap();
        assert_eq!(maps[1].name, None);
        assert!(!maps[1].is_shared());
    }

    #[test]
    fn names_may_hold_spaces() {
        let maps = parse(TEXT).unwrap();
        assert_eq!(maps[2].name.as_deref(), Some("/dev/zero (deleted)"));
        assert_eq!(maps.len(), 4);
    }

    #[test]
    fn a_bad_line_is_reported_with_its_number() {
        let text = format!("{TEXT}nonsense\n");
        assert_eq!(
            parse(&text),
            Err(BadLine {
                line: 5,
                text: "nonsense".into()
            })
        );
    }
}
