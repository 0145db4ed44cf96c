// SPDX-License-Identifier: GPL-2.0

//! The kernel's functions: names for points, and points of names.

use anyhow::{ensure, Context, Result};
use std::collections::BTreeMap;
use std::fs;

/// The module.
const MODULE: &str = "[rmmap]";

/// Space after the last function's beginning that counts as its code.
const LAST: u64 = 4096;

/// Functions, by address.
#[derive(Debug)]
pub struct Symbols(BTreeMap<u64, (String, bool)>);

impl Symbols {
    /// Reads those of the running kernel.
    pub fn read() -> Result<Self> {
        Self::parse(&fs::read_to_string("/proc/kallsyms").context("/proc/kallsyms")?)
    }

    fn parse(text: &str) -> Result<Self> {
        let function = |line: &str| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            let is_code = words.next()?.eq_ignore_ascii_case("t");
            let name = words.next()?.to_owned();
            let is_ours = words.next() == Some(MODULE);
            is_code.then_some((address, (name, is_ours)))
        };
        let all: BTreeMap<_, _> = text.lines().filter_map(function).collect();
        ensure!(
            all.len() > 1,
            "no addresses in /proc/kallsyms: run this as root"
        );
        Ok(Self(all))
    }

    /// Returns the addresses of the module's functions.
    pub fn module(&self) -> Result<(u64, u64)> {
        let ours = || self.0.iter().filter(|(_, (_, is_ours))| *is_ours);
        let first = ours().next().context("the module has no functions")?;
        let last = ours().next_back().context("nor a last one")?;
        Ok((*first.0, *last.0 + LAST))
    }

    /// Returns the addresses of a function.
    pub fn function(&self, name: &str) -> Result<(u64, u64)> {
        let begin = self.find(name);
        let begin = begin.with_context(|| format!("the kernel has no function {name}"))?;
        let after = self.0.range(begin + 1..).next();
        Ok((begin, after.map_or(begin + LAST, |(end, _)| *end)))
    }

    fn find(&self, name: &str) -> Option<u64> {
        let mut found = self.0.iter().filter(|(_, (other, _))| other == name);
        found.next().map(|(address, _)| *address)
    }

    /// Returns an address as function and offset.
    pub fn name(&self, address: u64) -> String {
        let below = self.0.range(..=address).next_back();
        let named = below.map(|(begin, (name, _))| format!("{name}+{:#x}", address - begin));
        // Several functions may share a name.
        let named = named.filter(|name| self.point(name).ok() == Some(address));
        named.unwrap_or_else(|| format!("{address:#x}"))
    }

    /// Returns the address that a function and an offset, or a number, mean.
    pub fn point(&self, text: &str) -> Result<u64> {
        let number = |text: &str| {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            u64::from_str_radix(digits, 16).with_context(|| format!("{text} is no number"))
        };
        match text.split_once('+') {
            None => number(text),
            Some((name, offset)) => Ok(self.function(name)?.0 + number(offset)?),
        }
    }
}

/// Returns the name of a function as Rust writes it.
pub fn readable(point: &str) -> String {
    match point.split_once('+') {
        Some((name, offset)) => format!("{:#}+{offset}", rustc_demangle::demangle(name)),
        None => point.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "ffffffff81000000 T _stext\nffffffff81000100 t twice\n\
        ffffffff81000200 T truncate\nffffffff81000300 d data\nffffffff81000400 t twice\n\
        ffffffffc0001000 t _RNv5rmmap4open\t[rmmap]\nffffffffc0001100 t close\t[rmmap]\n\
        ffffffffc0009000 t other\t[virtio]\n";

    #[test]
    fn points_have_names() {
        let symbols = Symbols::parse(TEXT).unwrap();
        for point in ["truncate+0x10", "_RNv5rmmap4open+0x0", "0xffffffff81000408"] {
            assert_eq!(symbols.name(symbols.point(point).unwrap()), point);
        }
        assert!(symbols.point("missing+0x1").is_err());
        assert!(Symbols::parse("0 T a\n0 T b\n").is_err());
    }

    #[test]
    fn functions_have_ranges() {
        let symbols = Symbols::parse(TEXT).unwrap();
        let range = (0xffff_ffff_c000_1000, 0xffff_ffff_c000_2100);
        assert_eq!(symbols.module().unwrap(), range);
        let range = (0xffff_ffff_8100_0200, 0xffff_ffff_8100_0400);
        assert_eq!(symbols.function("truncate").unwrap(), range);
        assert_eq!(readable("_RNvCs1234_5rmmap4open+0x1"), "rmmap::open+0x1");
    }
}
