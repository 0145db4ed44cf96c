// SPDX-License-Identifier: GPL-2.0

//! Lists of names and numbers: `/proc/PID/status`, `/proc/meminfo`, `/proc/vmstat` and the middle
//! part of each entry of `smaps`.

/// Names and numbers in the order of the file.
///
/// A number has the unit of the file: kB in `status`, `meminfo` and `smaps`, pages or events in
/// `vmstat`. The parser skips lines whose value is no decimal number (`Name`, `SigBlk`), so a
/// kernel that adds such a line does not break a reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, u64)>);

impl Fields {
    /// Parses `name: 12 kB`, `name: 12` and `name 12` lines.
    pub fn parse(text: &str) -> Self {
        text.lines().filter_map(parse_line).collect()
    }

    /// Returns the number with that name, if the file has one.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0
            .iter()
            .find_map(|(key, value)| (key == name).then_some(*value))
    }

    /// Returns the names and numbers in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Adds one; used while a file is read line by line.
    pub(crate) fn push(&mut self, name: String, value: u64) {
        self.0.push((name, value));
    }
}

impl FromIterator<(String, u64)> for Fields {
    fn from_iter<I: IntoIterator<Item = (String, u64)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

/// Parses one line; returns `None` if its value is no number.
pub(crate) fn parse_line(line: &str) -> Option<(String, u64)> {
    let (name, rest) = line
        .split_once(':')
        .or_else(|| line.split_once(char::is_whitespace))?;
    let mut words = rest.split_whitespace();
    let value = words.next()?.parse().ok()?;
    match words.next() {
        None | Some("kB") => Some((name.trim().to_owned(), value)),
        // `Groups: 0 1 2` and the like are lists, not a number.
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_gives_numbers_and_skips_the_rest() {
        let status = Fields::parse(
            "Name:\tcat: 12\nPid:\t42\nGroups:\t0 1 2 \nVmLck:\t      64 kB\nSigBlk:\t0000000000000000\n\
             Cpus_allowed:\tff\n",
        );
        assert_eq!(status.get("Pid"), Some(42));
        assert_eq!(status.get("VmLck"), Some(64));
        assert_eq!(status.get("Name"), None);
        assert_eq!(status.get("Groups"), None);
        assert_eq!(status.get("Cpus_allowed"), None);
    }

    #[test]
    fn meminfo_names_may_hold_brackets() {
        let meminfo = Fields::parse("Active(file):     123 kB\nHugePages_Total:       8\n");
        assert_eq!(meminfo.get("Active(file)"), Some(123));
        assert_eq!(meminfo.get("HugePages_Total"), Some(8));
    }

    #[test]
    fn vmstat_has_no_colons() {
        let vmstat = Fields::parse("nr_file_pages 932\nnr_mapped 17\n");
        assert_eq!(vmstat.get("nr_mapped"), Some(17));
        assert_eq!(
            vmstat.iter().collect::<Vec<_>>(),
            [("nr_file_pages", 932), ("nr_mapped", 17)]
        );
    }

    #[test]
    fn an_unknown_name_is_none() {
        assert_eq!(Fields::parse("").get("VmLck"), None);
    }
}
