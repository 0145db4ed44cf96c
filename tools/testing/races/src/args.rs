// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// A side of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum Role {
    /// The first operation.
    A,
    /// The second one.
    B,
}

/// Run pairs of operations, and delay one of them at each point of the module that it reaches, while
/// the other one runs on.
#[derive(Debug, Parser)]
#[command(
    name = "rmmap-races",
    version,
    help_expected = true,
    args_override_self = true,
    max_term_width = 100
)]
pub struct Args {
    /// Only scenarios whose name contains one of these words.
    #[arg(long, short = 't', value_name = "WORD")]
    pub scenario: Vec<String>,

    /// Delay only this role.
    #[arg(long)]
    pub role: Option<Role>,

    /// Delay only at this point: SYMBOL+0xOFFSET, 0xADDRESS, `begin`, or `none` for no delay.
    #[arg(long)]
    pub point: Option<String>,

    /// The number of the execution of the point that is delayed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub hit: u64,

    /// Delay only the first N executions of each point.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub hits: u64,

    /// Delay at every instruction, not only at the first one of each basic block.
    #[arg(long)]
    pub instructions: bool,

    /// Also delay in this function of the kernel; may be given more than once.
    #[arg(long, value_name = "FUNCTION")]
    pub core: Vec<String>,

    /// Leave a role of a scenario after this many findings.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub findings: u32,

    /// End at the first finding.
    #[arg(long)]
    pub stop: bool,

    /// Print each trial.
    #[arg(long, short)]
    pub verbose: bool,

    /// The module to try.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "build/modules/stock/rmmap.ko"
    )]
    pub module: PathBuf,

    /// Seconds for the guest.
    #[arg(long, default_value_t = 3000)]
    pub timeout: u64,

    /// Print the names of the scenarios and do nothing.
    #[arg(long)]
    pub list: bool,

    /// Run the scenarios: this is the guest.
    #[arg(long, hide = true)]
    pub guest: bool,
}

impl Args {
    /// Returns whether to run a scenario.
    pub fn wants(&self, name: &str) -> bool {
        let has_word = |word: &String| name.contains(word.as_str());
        self.scenario.is_empty() || self.scenario.iter().any(has_word)
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
