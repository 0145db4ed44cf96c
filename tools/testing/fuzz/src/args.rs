// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::Parser;
use std::path::PathBuf;

/// Do the same operations to regions, the device and memfds, and compare.
#[derive(Debug, Parser)]
#[command(
    name = "rmmap-fuzz",
    version,
    help_expected = true,
    max_term_width = 100
)]
pub struct Args {
    /// The seed; another run with it makes the same operations.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Begin no episode after so many seconds.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,

    /// Stop after so many operations.
    #[arg(long)]
    pub operations: Option<u64>,

    /// The most operations of an episode.
    #[arg(long, default_value_t = 1000)]
    pub steps: usize,

    /// Let actors act one after the other only.
    #[arg(long, conflicts_with = "races")]
    pub alone: bool,

    /// Let two actors act at the same time in each episode.
    #[arg(long)]
    pub races: bool,

    /// Load this module first, and unload it afterwards.
    #[arg(long, value_name = "FILE.ko")]
    pub module: Option<PathBuf>,

    /// The hook for mmap(2) that the module uses: 1 is mmap_prepare.
    #[arg(long, default_value_t = 0)]
    pub prepare: u32,

    /// Do the operations of this file instead.
    #[arg(long, value_name = "FILE.json")]
    pub replay: Option<PathBuf>,

    /// Store the operations of the episode that runs, and of a failure, in this folder.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// Seconds for making a failing sequence shorter; 0: do not even repeat it.
    #[arg(long, default_value_t = 120)]
    pub shrink: u64,

    /// Continue after a failure, and report each kind of failure once.
    #[arg(long)]
    pub all: bool,

    /// Compare memfds with memfds: whether the fuzzer itself is right.
    #[arg(long)]
    pub memfd: bool,

    /// Print the table of declared differences and do nothing.
    #[arg(long)]
    pub differences: bool,
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
