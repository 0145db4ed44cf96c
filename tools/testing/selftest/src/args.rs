// SPDX-License-Identifier: GPL-2.0

//! The command line of `rmmap selftest`.

use crate::skips::Kernel;
use clap::ValueEnum;
use std::path::PathBuf;

/// Test the device: one process and one time limit per test, results as KTAP.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// List the tests and what they are about, and run none.
    #[arg(short, long)]
    pub list: bool,

    /// With --list: the tests that are of rows of mmap-path, and their rows, as JSON.
    #[arg(long, requires = "list")]
    pub json: bool,

    /// Run the tests whose name contains PATTERN, or that are of this row of mmap-path (MK-05)
    /// or of a group of them (MK-); may be given more than once.
    #[arg(short, long = "test", value_name = "PATTERN")]
    pub test: Vec<String>,

    /// Load this module if none is loaded, and reload it where a test needs that; without it such
    /// tests are skipped.
    #[arg(long, value_name = "FILE.ko")]
    pub module: Option<PathBuf>,

    /// A parameter that the module is loaded with, before the tests and again after a reload.
    #[arg(long, value_name = "NAME=VALUE", requires = "module")]
    pub param: Vec<String>,

    /// Multiply every time limit by this, for a slow machine or a debug kernel; loops that only
    /// add confidence shrink by it.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    pub time_scale: f64,

    /// How often the load/map/unload test loads the module.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub cycles: u32,

    /// The lab's kernel that this is: a skip that `expected-skips.toml` does not list for it is a
    /// failure. Without it no skip is judged.
    #[arg(long, value_enum, value_name = "NAME")]
    pub kernel: Option<Kernel>,

    /// What to test: rmmap, or memfd to see whether the tests' expectations are the kernel's.
    #[arg(long, value_enum, default_value_t = Object::Rmmap)]
    pub object: Object,
}

/// What the tests are run on.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// `/dev/rmmap` and its regions.
    Rmmap,
    /// `memfd_create(2)`: only the tests that hold for any shared memory.
    Memfd,
}

/// Parses a factor that a time may be multiplied by.
fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(f) if f.is_finite() && f > 0.0 => Ok(f),
        _ => Err("a number greater than 0 is needed".into()),
    }
}
