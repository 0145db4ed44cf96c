// SPDX-License-Identifier: GPL-2.0

//! Sizes and addresses on the command line.

use rmmap_sys::PAGE_SIZE;

/// How a size may be written, for `--help`.
pub const FORMS: &str = "bytes, or with k, M, G, T, or p for pages; 0x... is hexadecimal";

/// Parses a number of bytes: `4097`, `0x1001`, `64k`, `2M`, `1G`, `16p`.
pub fn parse(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is not a size: give {FORMS}");
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).map_err(|_| bad());
    }
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let unit = match unit {
        "" => 1,
        "p" => PAGE_SIZE as u64,
        "k" | "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return Err(bad()),
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    number
        .checked_mul(unit)
        .ok_or_else(|| format!("`{text}` does not fit into 64 bits"))
}

/// Parses an address, in hexadecimal with or without `0x`.
pub fn address(text: &str) -> Result<usize, String> {
    usize::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|_| {
        format!("`{text}` is not an address: give it in hexadecimal, such as 7f0000000000")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_pages() {
        for (text, bytes) in [
            ("0", 0),
            ("4097", 4097),
            ("0x1001", 4097),
            ("16p", 65536),
            ("64k", 65536),
            ("2M", 2 << 20),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "k", "-1", "1x", "1 k", "0xg", "18446744073709551616"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("99999999999G").unwrap_err().contains("64 bits"));
    }

    #[test]
    fn addresses_are_hexadecimal() {
        assert_eq!(address("0x7f0000000000"), Ok(0x7f00_0000_0000));
        assert_eq!(address("1000"), Ok(0x1000));
        assert!(address("hello").is_err());
    }
}
