// SPDX-License-Identifier: GPL-2.0

//! The command line of `rmmap selftest`.

use crate::skips::Kernel;
use clap::ValueEnum;
use std::path::PathBuf;

/// Test the device: one process and one time limit per test, results as KTAP.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// List the tests with their descriptions, and run none.
    #[arg(short, long)]
    pub list: bool,

    /// With --list: print the tests of rows of the mmap path, with the rows, as JSON.
    #[arg(long, requires = "list")]
    pub json: bool,

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
    /// confidence get shorter by it.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    pub time_scale: f64,

    /// How often the load/map/unload test loads the module.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub cycles: u32,

    /// Judge skips by the list of this kernel of the lab: a skip that `expected-skips.toml` does
    /// not have is a failure. Without it no skip is judged.
    #[arg(long, value_enum, value_name = "NAME")]
    pub kernel: Option<Kernel>,

    /// Test rmmap, or memfd, to check that the kernel meets the tests' expectations.
    #[arg(long, value_enum, default_value_t = Object::Rmmap)]
    pub object: Object,
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
