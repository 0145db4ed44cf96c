// SPDX-License-Identifier: GPL-2.0
//! The command line of `rmmap-lab`; what people type is `make TARGET`.

use crate::project::Project;
use crate::vm::{Kernel, Outcome, Vm};
use crate::{guest, vm};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// The lab of rmmap: kernels, build folders and virtual machines.
#[derive(Debug, Parser)]
#[command(name = "rmmap-lab", max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run a command in a virtual machine and end as it ended.
    #[command(hide = true)]
    Vm {
        /// Kernel image.
        #[arg(long)]
        image: PathBuf,
        /// The kernel's lib/modules/VERSION folder.
        #[arg(long)]
        modules: Option<PathBuf>,
        /// Limit in seconds.
        #[arg(long, default_value_t = 300)]
        timeout: u64,
        /// A word for the kernel's command line.
        #[arg(long)]
        append: Vec<String>,
        /// Command and arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Serve as the agent inside a virtual machine.
    #[command(hide = true)]
    Guest,
}

/// Does what the command line says. Returns the exit status.
pub fn run() -> Result<u8> {
    if std::env::args()
        .next()
        .is_some_and(|name| name.ends_with(vm::GUEST_SHELL))
    {
        return Ok(u8::from(guest::serve()? != 0));
    }
    match Cli::parse().command {
        Action::Guest => Ok(u8::from(guest::serve()? != 0)),
        Action::Vm {
            image,
            modules,
            timeout,
            append,
            command,
        } => {
            let project = Project::find()?;
            let mut vm = Vm::new("try", Kernel { image, modules });
            vm.append = append;
            let outcome = vm
                .timeout(Duration::from_secs(timeout))
                .run(&project, &command)?;
            Ok(report(&outcome))
        }
    }
}

/// Says how a run ended, when it ended badly, and where to read more.
fn report(outcome: &Outcome) -> u8 {
    let code = outcome.ending.exit_code();
    if code != 0 {
        eprintln!(
            "lab: {} (kernel log: {})",
            outcome.ending,
            outcome.kernel_log().display()
        );
    }
    code
}
