// SPDX-License-Identifier: GPL-2.0

//! The command line of `rmmap selftest`.

use crate::skips::Kernel;
use clap::{Args as _, FromArgMatches, ValueEnum};
use std::path::{Path, PathBuf};

/// The end of the text of `--help`.
pub const EXIT_STATUS: &str = "\
Exit status:
  0  every test passed or was skipped
  1  a test failed
  2  the tests could not be run, or a report could not be written";

/// Test the device: one process and one time limit per test, results as KTAP.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// List the tests with their descriptions, and run none.
    #[arg(short, long)]
    pub list: bool,

    /// Write the results as JSON to FILE; without FILE to stdout, and KTAP to stderr. With --list:
    /// the tests of rows of the mmap path, with the rows.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = STDOUT)]
    pub json: Option<PathBuf>,

    /// Write the results as JUnit's XML to FILE.
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    pub junit: Option<PathBuf>,

    /// Shuffle the tests; the same seed gives the same order.
    #[arg(long, value_name = "SEED", conflicts_with = "list")]
    pub shuffle: Option<u64>,

    /// Run all tests N times; a test of round K is reported as NAME@K.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "list",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,

    /// Skip the rest after the first failure.
    #[arg(long, conflicts_with = "list")]
    pub fail_fast: bool,

    /// Run the tests whose name contains PATTERN, or that belong to this row of the mmap path
    /// (MK-05) or to this group (MK-); may be given more than once.
    #[arg(short, long = "test", value_name = "PATTERN")]
    pub test: Vec<String>,

    /// Load this module, and reload it where a test needs that; without it such tests are skipped.
    #[arg(long, value_name = "FILE.ko")]
    pub module: Option<PathBuf>,

    /// Load the module with this parameter, before the tests and after each reload.
    #[arg(long, value_name = "NAME=VALUE", requires = "module")]
    pub param: Vec<String>,

    /// Multiply every time limit by this, for a slow machine or a debug kernel; loops that only add
    /// confidence run fewer rounds.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    pub time_scale: f64,

    /// Number of times that the load/map/unload test loads the module.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub cycles: u32,

    /// Fail a test that is skipped although `expected-skips.toml` does not list the skip for this
    /// kernel of the lab. Without it every skip is accepted.
    #[arg(long, value_enum, value_name = "NAME")]
    pub kernel: Option<Kernel>,

    /// Test rmmap, or memfd, to check that the kernel meets the tests' expectations.
    #[arg(long, value_enum, default_value_t = Object::Rmmap)]
    pub object: Object,
}

/// The file of `--json` that stands for standard output.
const STDOUT: &str = "-";

impl Args {
    /// Returns whether JSON takes standard output.
    pub fn json_is_on_stdout(&self) -> bool {
        self.json.as_deref() == Some(Path::new(STDOUT))
    }
}

impl Default for Args {
    /// Returns the arguments of an empty command line.
    fn default() -> Self {
        let matches = Self::augment_args(clap::Command::new("")).get_matches_from([""]);
        Self::from_arg_matches(&matches).unwrap_or_else(|e| e.exit())
    }
}

/// The object under test.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// `/dev/rmmap` and its regions.
    Rmmap,
    /// `memfd_create(2)`: only the tests that hold for any shared memory.
    Memfd,
}

/// Parses a factor for times.
fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(f) if f.is_finite() && f > 0.0 => Ok(f),
        _ => Err("a number greater than 0 is needed".into()),
    }
}
