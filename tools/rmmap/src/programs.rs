// SPDX-License-Identifier: GPL-2.0

//! The programs that `rmmap` starts: tests and benchmark are not part of it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{anyhow, Context};

/// The folder of distributions for programs that other programs start, relative to theirs.
const LIBEXEC: &str = "../libexec/rmmap";

/// Arguments of another program.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Arguments of that program; `--help` lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    arguments: Vec<OsString>,
}

/// Executes the program `name` in place of this one; returns only on failure.
pub fn run(name: &str, args: &Args) -> anyhow::Result<ExitCode> {
    let own = std::env::current_exe().context("cannot find the path of this program")?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let program = find(folder, name)?;
    let error = Command::new(&program).args(&args.arguments).exec();
    Err(anyhow!(error).context(format!("cannot run {}", program.display())))
}

/// Finds a program next to this one, or in the folder for such programs.
fn find(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let places = [folder.to_owned(), folder.join(LIBEXEC)];
    let mut programs = places.iter().map(|place| place.join(name));
    programs.find(|program| program.is_file()).with_context(|| {
        let folder = folder.display();
        format!("{name} is not installed: build it with `make tools` and copy it to {folder}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_program_is_found_next_to_this_one_before_libexec() {
        let folder = tempfile::tempdir().unwrap();
        let (bin, libexec) = (
            folder.path().join("bin"),
            folder.path().join("libexec/rmmap"),
        );
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(&libexec).unwrap();
        let missing = find(&bin, "rmmap-x").unwrap_err().to_string();
        assert!(
            missing.contains("rmmap-x") && missing.contains("make tools"),
            "{missing}"
        );
        assert_eq!(missing.lines().count(), 1);
        fs::write(libexec.join("rmmap-x"), "").unwrap();
        let there = find(&bin, "rmmap-x").unwrap().canonicalize().unwrap();
        assert_eq!(there, libexec.join("rmmap-x").canonicalize().unwrap());
        fs::write(bin.join("rmmap-x"), "").unwrap();
        assert_eq!(find(&bin, "rmmap-x").unwrap(), bin.join("rmmap-x"));
    }
}
