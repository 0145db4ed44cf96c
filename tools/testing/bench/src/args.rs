// SPDX-License-Identifier: GPL-2.0

//! The command line.

use crate::object::Object;
use crate::record::Unit;
use crate::workload::Workload;
use clap::ValueEnum;
use std::path::PathBuf;

/// A set of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Set {
    /// The measurements with performance targets, at small sizes
    Quick,
    /// Everything: all objects, all workloads, bulk sizes from 4 MiB to 4 GiB
    Full,
    /// The measurements that show the cost of statistics
    Statistics,
}

/// Measure the cost of rmmap's memory, next to memfd, ramfs, huge and anonymous pages.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Measure this set of workloads and objects
    #[arg(long, value_enum, default_value_t = Set::Quick)]
    pub set: Set,

    /// Measure only this object; may be given more than once
    #[arg(long = "object", value_enum, value_name = "OBJECT")]
    pub objects: Vec<Object>,

    /// Measure only this workload; may be given more than once
    #[arg(long = "workload", value_enum, value_name = "WORKLOAD")]
    pub workloads: Vec<Workload>,

    /// Instead of a set, measure all selected objects and workloads at this size, MiB
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(2..=65536))]
    pub size: Option<u64>,

    /// Number of samples of each
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub times: Option<u32>,

    /// Measure in the random order of this seed, instead of a new order in each run
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// Compare the time of workloads with 1 and with N threads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=256))]
    pub threads: Option<u32>,

    /// Run 2 to 16 threads that fault, each on a processor of its own, for an emulator that counts
    /// their accesses to shared cache lines
    #[arg(long, conflicts_with = "threads")]
    pub shared: bool,

    /// Skip measurements whose records are in this file, as --json prints them
    #[arg(long, value_name = "FILE")]
    pub done: Option<PathBuf>,

    /// Print results as lines of JSON instead of a table
    #[arg(long)]
    pub json: bool,

    /// Label costs as instructions (guest runs with -icount shift=0)
    #[arg(long)]
    pub instructions: bool,

    /// Replace the loaded module by this one first
    #[arg(long, value_name = "RMMAP.KO")]
    pub module: Option<PathBuf>,

    /// Append this to the names of rmmap's objects in the results
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub suffix: String,
}

impl Args {
    /// Returns the unit of costs.
    pub fn unit(&self) -> Unit {
        match self.instructions {
            true => Unit::Instructions,
            false => Unit::Nanoseconds,
        }
    }
}
