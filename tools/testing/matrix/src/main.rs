// SPDX-License-Identifier: GPL-2.0

//! `make matrix`: builds rmmap for every kernel, boots it, runs demo and device tests, and prints one
//! table. An interrupted run goes on where it was: the results of a kernel hold until module, programs
//! or the choice of tests change.

#![forbid(unsafe_code)]

use anyhow::{ensure, Context, Result};
use clap::Parser;
use rmmap_matrix::guest::Plan;
use rmmap_matrix::kernels;
use rmmap_matrix::row::{table, Row};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Build, boot and test rmmap on every kernel: Debian's, the newest of each series and flavour, and
/// of arm64.
///
/// `make matrix KERNEL=DIR` adds the kernel that was built in DIR. Exit status: 0 when nothing
/// failed, 1 when a kernel or a test did, 69 when the lab cannot work.
#[derive(Debug, Parser)]
#[command(name = "make matrix MATRIX=", max_term_width = 100)]
struct Args {
    /// Only kernels whose version contains WORD; may be given more than once
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    /// Only device tests whose name contains PATTERN; may be given more than once
    #[arg(short = 't', long = "test", value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Test with one setting of the module, hook mmap and folio policy adaptive, and load the module
    /// 100 times instead of 1000
    #[arg(long)]
    quick: bool,
    /// List the kernels, and do nothing
    #[arg(long)]
    list: bool,
    /// Only build
    #[arg(long)]
    build: bool,
    /// Forget earlier results
    #[arg(long)]
    again: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(good) => ExitCode::from(u8::from(!good)),
        Err(why) => {
            eprintln!("lab: {why:#}");
            ExitCode::from(69)
        }
    }
}

/// Returns whether nothing failed.
fn run(args: &Args) -> Result<bool> {
    let mut kernels = kernels::of_archive()?;
    // A kernel of one's own; `tools/lab/enter` makes its folder visible here.
    let own = std::env::var("KERNEL").ok();
    kernels.extend(own.filter(|word| word.contains('/')));
    if !args.only.is_empty() {
        kernels.retain(|kernel| args.only.iter().any(|word| kernel.contains(word.as_str())));
    }
    ensure!(!kernels.is_empty(), "no kernel matches: see --list");
    if args.list {
        kernels.iter().for_each(|kernel| println!("{kernel}"));
        return Ok(true);
    }
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let plan = Plan {
        lab: program.with_file_name("rmmap-lab"),
        project: std::env::current_dir()?,
        options: options(args),
    };
    let folder = plan.project.join("build/matrix");
    fs::create_dir_all(&folder)?;
    let mut rows = Vec::new();
    for kernel in &kernels {
        let file = folder.join(kernel.replace('/', "-"));
        rows.push(one(args, &plan, kernel, &file)?);
    }
    print!("{}", table(&rows));
    Ok(rows.iter().all(Row::is_good))
}

/// Returns the options of `make test` for the choice of tests.
fn options(args: &Args) -> Vec<String> {
    let quick: &[&str] = match args.quick {
        true => &["--hook", "mmap", "--policy", "adaptive", "--cycles", "100"],
        false => &[],
    };
    let patterns = args.patterns.iter().flat_map(|pattern| ["-t", pattern]);
    let words = quick.iter().copied().chain(patterns);
    words.map(str::to_owned).collect()
}

/// Builds for `kernel` and tests, unless the results are in `build/matrix`, in files that begin like
/// `file`.
fn one(args: &Args, plan: &Plan, kernel: &str, file: &Path) -> Result<Row> {
    // The log of the tests stays as long as their results.
    let [building, log] = ["building.log", "log"].map(|end| named(file, end));
    fs::write(&building, "")?;
    eprintln!("lab: {kernel}: building (log: {})", building.display());
    let digest = match plan.build(kernel, &building) {
        Ok(digest) => digest,
        Err(why) => {
            return Ok(Row {
                broken: Some(format!("{why:#}")),
                ..Row::new(kernel, 0)
            })
        }
    };
    if args.build {
        return Ok(Row::new(kernel, digest));
    }
    let results = named(file, "json");
    let saved = fs::read(&results).ok();
    let saved = saved.and_then(|text| serde_json::from_slice::<Row>(&text).ok());
    let saved = saved.filter(|row| row.digest == digest && row.broken.is_none());
    if let Some(row) = saved.filter(|_| !args.again) {
        eprintln!("lab: {kernel}: tested earlier (log: {})", log.display());
        return Ok(row);
    }
    fs::write(&log, "")?;
    eprintln!("lab: {kernel}: testing (log: {})", log.display());
    let row = plan.test(kernel, digest, &log)?;
    let part = named(file, "part");
    fs::write(&part, serde_json::to_vec_pretty(&row)?)?;
    fs::rename(part, results)?;
    Ok(row)
}

/// Returns the path of a file of a kernel, whose name has dots of its own.
fn named(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A lab that leaves one result, and a line in the file `tested`. With a file `dies` its guest dies.
    const LAB: &str = r#"#!/bin/sh
case $1 in
lab) echo "kernel: $PWD/bzImage"; echo "module: $PWD/rmmap.ko"; echo "programs: $PWD" ;;
test)
  echo "$KERNEL" >> tested; mkdir -p build/test
  echo '[{"id":"a","hook":null,"policy":null,"outcome":"pass","message":""}]' > build/test/results.json
  [ ! -e dies ] || exit 70 ;;
esac
"#;

    #[test]
    fn a_kernel_with_results_is_not_tested_again() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().to_owned();
        let lab = project.join("rmmap-lab");
        fs::write(&lab, LAB).unwrap();
        fs::set_permissions(&lab, fs::Permissions::from_mode(0o755)).unwrap();
        for file in ["rmmap", "rmmap-guest", "rmmap-selftest", "rmmap-trace-test"] {
            fs::write(project.join(file), file).unwrap();
        }
        let change = |file: &str, text: &str| fs::write(project.join(file), text).unwrap();
        change("bzImage", "");
        change("rmmap.ko", "");
        let run = |words: &[&str]| {
            let args = Args::parse_from([&["matrix"], words].concat());
            let plan = Plan {
                lab: lab.clone(),
                project: project.clone(),
                options: options(&args),
            };
            let row = one(&args, &plan, "7.3.4", &project.join("7.3.4")).unwrap();
            let tested = fs::read_to_string(project.join("tested")).unwrap();
            (row.is_good(), tested.lines().count())
        };
        change("dies", "");
        assert_eq!(run(&[]), (false, 1));
        assert_eq!(run(&[]), (false, 2));
        fs::remove_file(project.join("dies")).unwrap();
        assert_eq!(run(&[]), (true, 3));
        assert_eq!(run(&[]), (true, 3));
        assert_eq!(run(&["--quick"]), (true, 4));
        change("rmmap.ko", "other");
        assert_eq!(run(&["--quick"]), (true, 5));
        assert_eq!(run(&["--quick"]), (true, 5));
        assert_eq!(run(&["--quick", "--again"]), (true, 6));
    }
}
