// SPDX-License-Identifier: GPL-2.0

//! The kernel's symbols, and profiles from the output of the plugin `plugin/count.c`.

use anyhow::Result;
use std::collections::BTreeMap;

/// The kernel's functions and variables by their addresses.
pub struct Symbols {
    code: BTreeMap<u64, String>,
    data: BTreeMap<u64, String>,
}

impl Symbols {
    /// Parses the text of `/proc/kallsyms`.
    pub fn parse(text: &str) -> Self {
        let symbol = |line: &str| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            let is_code = words.next()?.eq_ignore_ascii_case("t");
            let name = rustc_demangle::demangle(words.next()?);
            // A name in a folded stack has no separators.
            let name = format!("{name:#}").replace([' ', ';'], "");
            let module = words.next().unwrap_or_default();
            Some((address, is_code, format!("{name}{module}")))
        };
        let (mut code, mut data) = (BTreeMap::new(), BTreeMap::new());
        for (address, is_code, name) in text.lines().filter_map(symbol) {
            let of = if is_code { &mut code } else { &mut data };
            of.insert(address, name);
        }
        Self { code, data }
    }

    /// Returns the function at an address.
    pub fn code(&self, address: u64) -> &str {
        match self.code.range(..=address).next_back() {
            Some((_, name)) if address >> 63 == 1 => name,
            _ => "[user]",
        }
    }

    /// Returns the name of the data at an address, or its kind by the memory layout in
    /// Documentation/arch/x86/x86_64/mm.rst.
    pub fn data(&self, address: u64) -> String {
        match address >> 40 {
            0xffffea | 0xffd400 => "a struct page".to_owned(),
            0xffffff => {
                let symbol = self.data.range(..address + 64).next_back();
                symbol.map_or_else(String::new, |(_, name)| name.clone())
            }
            _ => String::new(),
        }
    }

    /// Returns the functions of a stack of addresses.
    pub fn stack<'a>(&self, addresses: impl Iterator<Item = &'a str>) -> Result<Vec<&str>> {
        let mut names = Vec::new();
        for address in addresses {
            let name = self.code(u64::from_str_radix(address, 16)?);
            // Compilers emit calls through these thunks; consecutive blocks of one function count
            // once.
            if names.last() != Some(&name) && !name.starts_with("__x86_indirect_thunk") {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Returns the plugin's stacks with names, with the counts of equal stacks added.
pub fn stacks(raw: &str, symbols: &Symbols) -> Result<BTreeMap<String, u64>> {
    let mut stacks = BTreeMap::new();
    for line in raw.lines() {
        let mut words: Vec<_> = line.split(' ').collect();
        let count: u64 = words.pop().unwrap_or_default().parse()?;
        let names = symbols.stack(words.into_iter())?;
        *stacks.entry(names.join(";")).or_insert(0) += count;
    }
    Ok(stacks)
}

/// Returns a table of the functions with most instructions of their own.
pub fn functions(stacks: &BTreeMap<String, u64>, pages: u64) -> String {
    let mut own: BTreeMap<&str, u64> = BTreeMap::new();
    for (stack, count) in stacks {
        *own.entry(stack.rsplit(';').next().unwrap_or_default())
            .or_insert(0) += count;
    }
    let total: u64 = own.values().sum();
    let mut own: Vec<_> = own.into_iter().collect();
    own.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let per_page = |count: u64| count as f64 / pages as f64;
    let mut text = format!("{:>12} {:>7}  function\n", "per page", "part");
    for (name, count) in own.into_iter().take(40) {
        let part = 100.0 * count as f64 / total as f64;
        text.push_str(&format!("{:>12.1} {part:>6.2}%  {name}\n", per_page(count)));
    }
    text.push_str(&format!("{:>12.1} 100.00%  all\n", per_page(total)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_in_their_functions() {
        let symbols = Symbols::parse(
            "ffffffff81000000 T do_fault\nffffffff81000100 t fault [rmmap]\nffffffff81000200 D data\n",
        );
        let raw = "ffffffff81000000 ffffffff81000100 ffffffff81000180 6\n\
                   ffffffff81000000 ffffffff81000100 ffffffff81000190 4\n\
                   ffffffff81000000 ffffffff81000010 5\n401000 401000 5\n";
        let stacks = stacks(raw, &symbols).unwrap();
        assert_eq!(stacks["do_fault;fault[rmmap]"], 10);
        assert_eq!((stacks["do_fault"], stacks["[user]"]), (5, 5));
        let text = functions(&stacks, 2);
        assert!(text.contains("5.0  50.00%  fault[rmmap]"), "{text}");
        assert!(text.contains("10.0 100.00%  all"), "{text}");
    }
}
