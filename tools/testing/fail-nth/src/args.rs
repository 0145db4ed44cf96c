// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::Parser;
use std::path::PathBuf;

/// Fail the 1st, 2nd, ... n-th allocation of each operation of the devices, until none is left.
#[derive(Debug, Parser)]
#[command(
    name = "rmmap-fail-nth",
    version,
    help_expected = true,
    max_term_width = 100
)]
pub struct Args {
    /// The folder with the modules that were built for this kernel.
    #[arg(long, value_name = "FOLDER", required_unless_present = "list")]
    pub modules: Option<PathBuf>,

    /// Only operations whose name contains one of these words.
    #[arg(long, short = 't', value_name = "WORD")]
    pub only: Vec<String>,

    /// Only operations of these groups: region, file, mapping, fault, process, load, samples.
    #[arg(long, short = 'g', value_name = "GROUP")]
    pub group: Vec<String>,

    /// Fail only this allocation of each operation, and print where it is.
    #[arg(long, value_name = "N")]
    pub nth: Option<u32>,

    /// Print every place that an allocation failed at, and how the operation ended.
    #[arg(long)]
    pub sites: bool,

    /// Print the names of the operations and do nothing.
    #[arg(long)]
    pub list: bool,
}

impl Args {
    /// Returns whether to run an operation of a group.
    pub fn wants(&self, group: &str, name: &str) -> bool {
        let is_in_group = self.group.is_empty() || self.group.iter().any(|one| one == group);
        let has_word = |word: &String| name.contains(word.as_str());
        is_in_group && (self.only.is_empty() || self.only.iter().any(has_word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
