// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::{Parser, Subcommand};

use crate::{demo, exec, map, programs, stat, trace, watch};

/// What the exit status means, for `--help`.
const EXIT_STATUS: &str = "\
Exit status:
  0  done, and everything was as expected
  1  demo: a row differs from its expectation; selftest: a test failed; map: the kernel refused
     the mapping or a touch, or contents differ
  2  the command could not run, or the command line is wrong
exec ends with the program's own status; with 128 + n if signal n ended it, 127 if there is no such
program, 126 if it cannot be run.";

/// Shows, measures and tests /dev/rmmap and the kernel's mmap path.
#[derive(Debug, Parser)]
#[command(
    name = "rmmap",
    version,
    help_expected = true,
    max_term_width = 100,
    after_help = EXIT_STATUS
)]
pub struct Cli {
    #[command(flatten)]
    pub color: colorchoice_clap::Color,

    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Map memory of each kind in each way of allocating it, and show what the kernel did
    Demo(demo::Args),
    /// Show the counters of a region and of the whole device
    Stat(stat::Args),
    /// Trace the path of a mapping, or of a program's mappings, through the kernel
    Trace(trace::Args),
    /// Make one mapping, touch it, and show its state in the kernel
    Map(map::Args),
    /// Watch which pages of a mapping or an object are in memory
    Watch(watch::Args),
    /// Run a program whose memfds are regions
    ///
    /// memfd_create(2) returns a region to the program and to all processes that it starts. The program
    /// itself is not changed, and need not be allowed to open /dev/rmmap. Where rmmap cannot make the
    /// region (MFD_HUGETLB), the program gets a memfd. The exit status is that of the program.
    Exec(exec::Args),
    /// Measure what memory of the device costs, next to memfd, ramfs and anonymous memory
    #[command(disable_help_flag = true)]
    Bench(programs::Args),
    /// Run the device tests, and print their results as KTAP
    #[command(disable_help_flag = true)]
    Selftest(programs::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::status::{CANNOT_RUN, DIFFERS};

    #[test]
    fn the_command_line_is_consistent_and_every_option_has_help() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_exit_status_is_documented() {
        for status in [0, DIFFERS, CANNOT_RUN] {
            assert!(EXIT_STATUS.contains(&format!("\n  {status}  ")));
        }
    }
}
