// SPDX-License-Identifier: GPL-2.0

//! `/proc/PID/smaps`: the mappings of a process and the memory of each.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{error::BadLine, fields, maps, Fields, Map};

/// One mapping with its sizes and flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smap {
    /// The mapping itself.
    pub map: Map,
    /// The sizes, kB: `Rss`, `Anonymous`, `Locked`, …
    pub sizes: Fields,
    /// The line `VmFlags`.
    pub vm_flags: VmFlags,
}

impl Smap {
    /// Returns the size with that name in kB; 0 if this kernel does not print it.
    pub fn kb(&self, name: &str) -> u64 {
        self.sizes.get(name).unwrap_or(0)
    }
}

/// The two-letter flags of a mapping, as the kernel prints them and in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmFlags(Vec<String>);

impl VmFlags {
    /// Parses flags separated by blanks.
    pub fn parse(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_owned).collect())
    }

    /// Returns whether the flag is set, for example `lo`.
    pub fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|have| have == flag)
    }

    /// Returns the flags in the kernel's order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for VmFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.join(" "))
    }
}

/// Parses the whole file.
pub fn parse(text: &str) -> Result<Vec<Smap>, BadLine> {
    let mut smaps: Vec<Smap> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        // Try an address first: `7f00:` is no mapping, but `Size:` is no address either.
        if let Some(map) = maps::parse_line(line) {
            smaps.push(Smap {
                map,
                sizes: Fields::default(),
                vm_flags: VmFlags::default(),
            });
            continue;
        }
        let bad = || BadLine {
            line: index + 1,
            text: line.to_owned(),
        };
        let smap = smaps.last_mut().ok_or_else(bad)?;
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            smap.vm_flags = VmFlags::parse(flags);
        } else {
            let (name, value) = fields::parse_line(line).ok_or_else(bad)?;
            smap.sizes.push(name, value);
        }
    }
    Ok(smaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
7f2c00000000-7f2c00010000 rw-s 00000000 00:05 314                        /dev/rmmap
Size:                 64 kB
KernelPageSize:        4 kB
Rss:                  64 kB
Anonymous:             0 kB
Locked:               64 kB
THPeligible:           0
ProtectionKey:         0
VmFlags: rd wr sh mr mw me ms lo lf sd 
7f2c00020000-7f2c00021000 r--p 00000000 00:00 0 
Size:                  4 kB
VmFlags: rd mr mw me ac sl 
";

    #[test]
    fn sizes_and_flags_of_each_mapping() {
        let smaps = parse(TEXT).unwrap();
        assert_eq!(smaps.len(), 2);
        assert_eq!(smaps[0].kb("Locked"), 64);
        assert_eq!(smaps[0].kb("THPeligible"), 0);
        assert_eq!(
            smaps[0].vm_flags.to_string(),
            "rd wr sh mr mw me ms lo lf sd"
        );
        assert_eq!(smaps[1].map.name, None);
        assert_eq!(smaps[1].kb("Rss"), 0);
    }

    #[test]
    fn flags_that_other_readers_forget_are_kept() {
        let smaps = parse(TEXT).unwrap();
        assert!(smaps[0].vm_flags.has("lf"));
        assert!(smaps[1].vm_flags.has("sl"));
        assert!(!smaps[1].vm_flags.has("lo"));
    }

    #[test]
    fn flags_can_be_aligned() {
        assert_eq!(format!("{:<8}|", VmFlags::parse("rd wr")), "rd wr   |");
    }

    #[test]
    fn a_size_before_any_mapping_is_refused() {
        assert_eq!(parse("Rss: 4 kB\n").unwrap_err().line, 1);
    }

    #[test]
    fn a_line_without_a_number_is_refused() {
        let text = TEXT.replace("THPeligible:           0", "THPeligible: perhaps");
        assert_eq!(parse(&text).unwrap_err().line, 7);
    }
}
