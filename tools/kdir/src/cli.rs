// SPDX-License-Identifier: GPL-2.0
//! The command line of `rmmap-kdir`.

use crate::prepare::{self, Options};
use crate::{check, deb, symbols};
use anyhow::{bail, Context, Result};
use clap::{CommandFactory, Parser, Subcommand};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes a Rust-ready build folder for a kernel whose headers ship no Rust metadata.
#[derive(Debug, Parser)]
#[command(
    name = "rmmap-kdir",
    version,
    max_term_width = 80,
    help_expected = true
)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the folder and prove that modules built in it will load.
    Prepare {
        /// The kernel, as `uname -r` prints it [default: the running one].
        #[arg(long, value_name = "VERSION")]
        kernel: Option<String>,
        /// The folder to make [default: kdir-VERSION].
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Source tree or archive [default: in /usr/src].
        #[arg(long, value_name = "DIR|TAR")]
        source: Option<PathBuf>,
        /// The kernel's config [default: in /usr/lib/modules or /boot].
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The kernel's Module.symvers [default: of its headers package].
        #[arg(long, value_name = "FILE")]
        symvers: Option<PathBuf>,
        /// Number of jobs [default: one per processor].
        #[arg(short, long, value_name = "N")]
        jobs: Option<usize>,
    },
    /// Check that Rust modules can be built in a folder.
    Check {
        /// The folder.
        kdir: PathBuf,
    },
    /// Compare a folder's Rust symbols with a kernel's Module.symvers.
    Verify {
        /// The folder.
        kdir: PathBuf,
        /// The kernel's Module.symvers.
        symvers: PathBuf,
    },
    /// Make a Debian package of a folder's metadata: with it, DKMS builds Rust modules.
    Deb {
        /// The folder, which `prepare` made.
        kdir: PathBuf,

        /// The folder of the package.
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },

    /// Give the installed headers of a kernel their metadata, without a package.
    Install {
        /// The kernel, as `uname -r` prints it [default: the running one].
        #[arg(long, value_name = "VERSION")]
        kernel: Option<String>,
    },

    /// Find a folder for a kernel, or make one, and run make there.
    Make {
        /// The folder [default: of the running kernel].
        #[arg(long, value_name = "DIR")]
        kdir: Option<PathBuf>,
        /// The folder to make if the kernel's own lacks Rust metadata.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Arguments of make.
        #[arg(last = true, required = true)]
        arguments: Vec<String>,
    },
}

/// Returns the command line, of which `rmmap-manual` makes the manual page.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command of the command line.
pub fn run() -> Result<()> {
    match Cli::parse().command {
        Action::Prepare {
            kernel,
            out,
            source,
            config,
            symvers,
            jobs,
        } => {
            let jobs = jobs.unwrap_or_else(processors);
            let kernel = kernel.map_or_else(running_kernel, Ok)?;
            let out = out.unwrap_or_else(|| format!("kdir-{kernel}").into());
            prepare::prepare(&Options {
                kernel,
                out,
                source,
                config,
                symvers,
                jobs,
            })
        }
        Action::Check { kdir } => check::check(&kdir),
        Action::Verify { kdir, symvers } => {
            println!("{} Rust symbols match", symbols::verify(&kdir, &symvers)?);
            Ok(())
        }
        Action::Deb { kdir, out } => {
            println!("{}", deb::make(&kdir, &out)?.display());
            Ok(())
        }
        Action::Install { kernel } => {
            let kernel = kernel.map_or_else(running_kernel, Ok)?;
            deb::install(&kernel, processors())
        }
        Action::Make {
            kdir,
            out,
            arguments,
        } => {
            let kdir = match kdir {
                Some(kdir) => kdir,
                None => of_running_kernel(&out)?,
            };
            check::check(&kdir)?;
            Err(Command::new("make")
                .arg("-C")
                .arg(kdir)
                .args(arguments)
                .exec())
            .context("cannot run make")
        }
    }
}

/// Returns the build folder of the running kernel: its own when complete, otherwise one made in
/// `out`.
fn of_running_kernel(out: &Path) -> Result<PathBuf> {
    let release = running_kernel()?;
    let own = Path::new("/lib/modules").join(&release).join("build");
    if own.join(check::METADATA).exists() {
        return Ok(own);
    }
    let made = out.join(&release);
    if made.join(prepare::PROVED).exists() {
        return Ok(made);
    }
    if !own.exists() {
        bail!(
            "the running kernel {release} has no headers: install them, or give KDIR=DIR, or use `make \
             run`, which needs neither"
        );
    }
    prepare::prepare(&Options::installed(&release, made.clone(), processors()))?;
    Ok(made)
}

/// Returns the release of the running kernel, as `uname -r` prints it.
fn running_kernel() -> Result<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(release.trim().to_owned())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
