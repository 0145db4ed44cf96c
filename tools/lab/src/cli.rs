// SPDX-License-Identifier: GPL-2.0
//! The command line of `rmmap-lab`; what people type is `make TARGET`.

use crate::project::Project;
use crate::{bench, check, coverage, doc, mmap_path, patches, run, test};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// The lab of rmmap: kernels, build folders and virtual machines.
#[derive(Debug, Parser)]
#[command(name = "rmmap-lab", max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make everything that a run needs: kernel, build folder, modules, programs.
    Lab,
    /// Run the demo on the stock kernel in a virtual machine.
    Run,
    /// Open a shell in a virtual machine with the module loaded.
    Shell,
    /// Check style, lints, documentation and its links.
    Check(check::Args),
    /// Build the documentation.
    Doc,
    /// Run all tests; end with `N passed, N failed, N skipped`.
    Test(test::Args),
    /// Show which lines of the mmap path the device tests run.
    Coverage(coverage::Args),
    /// Measure what memory of rmmap costs, next to other kinds of memory.
    Bench(bench::Args),
    /// Turn the library into patches for the kernel's tree, and test them.
    Patches(patches::Args),
    /// Generate the table of the mmap path in `Documentation/mmap-path.rst`.
    MmapPath(mmap_path::Args),
    Vm(run::VmArgs),
    /// Try samples of a kernel that was built with the patches, inside a virtual machine.
    #[command(hide = true)]
    GuestSamples {
        /// The modules.
        files: Vec<PathBuf>,
    },
}

/// Runs the command of the command line. Returns the exit status.
pub fn run() -> Result<u8> {
    match Cli::parse().command {
        Action::Lab => run::lab(&Project::find()?),
        Action::Run => run::demo(&Project::find()?),
        Action::Shell => run::shell(&Project::find()?),
        Action::Check(args) => check::run(&Project::find()?, &args),
        Action::Doc => doc::run(&Project::find()?),
        Action::MmapPath(args) => mmap_path::run(&Project::find()?, &args),
        Action::Vm(args) => run::command(&Project::find()?, &args),
        Action::Test(args) => test::run(&Project::find()?, &args),
        Action::Coverage(args) => coverage::run(&Project::find()?, &args),
        Action::Bench(args) => bench::run(&Project::find()?, &args),
        Action::Patches(args) => patches::run(&Project::find()?, &args),
        Action::GuestSamples { files } => patches::try_samples(&files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
