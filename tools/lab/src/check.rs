// SPDX-License-Identifier: GPL-2.0
//! `make check` and `make doc`: style and documentation, of kernel and userspace code.

use crate::build::{self, Ready};
use crate::kernel_doc;
use crate::project::Project;
use crate::steps::{Log, Steps};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the userspace programs run, and so what they are checked for.
const TARGET: &[&str] = &["--target", "x86_64-unknown-linux-gnu"];

/// Runs every check, also after one failed. Returns the exit status.
pub fn check(project: &Project) -> Result<u8> {
    let steps = Steps::begin(project)?;
    let ready = build::ready(project, &steps)?;
    let files = Files::of(project)?;
    let checks: [(&str, Work<'_>); 7] = [
        ("rustfmt", &|log| rustfmt(log, project, &files)),
        ("clippy (userspace)", &|log| clippy(log, project)),
        ("clippy (kernel)", &|log| {
            kernel_clippy(log, project, &ready)
        }),
        ("checkpatch", &|log| {
            checkpatch(log, project, &files, &ready)
        }),
        ("shellcheck", &|log| shellcheck(log, project, &files)),
        ("documentation (userspace)", &|log| {
            userspace_doc(log, project)
        }),
        ("documentation (kernel)", &|log| {
            kernel_doc::build(log, project)
        }),
    ];
    let failed = checks
        .iter()
        .filter(|(name, work)| match steps.always(name, work) {
            Ok(()) => false,
            Err(error) => {
                eprintln!("lab: {error:#}");
                true
            }
        })
        .count();
    println!("{} checks passed, {failed} failed", checks.len() - failed);
    Ok(u8::from(failed != 0))
}

/// Builds the documentation of all crates.
pub fn doc(project: &Project) -> Result<u8> {
    let steps = Steps::begin(project)?;
    build::ready(project, &steps)?;
    steps.always("documentation (userspace)", |log| {
        userspace_doc(log, project)
    })?;
    steps.always("documentation (kernel)", |log| {
        kernel_doc::build(log, project)
    })?;
    println!(
        "kernel: {}",
        kernel_doc::folder(project)
            .join("kernel_mm/index.html")
            .display()
    );
    let userspace = project.build("cargo/x86_64-unknown-linux-gnu/doc");
    println!(
        "userspace: {}",
        userspace.join("rmmap/index.html").display()
    );
    Ok(0)
}

type Work<'a> = &'a dyn Fn(&mut Log) -> Result<()>;

/// The checkout's files, by what checks them.
struct Files {
    /// Rust that no cargo package holds.
    kernel_rust: Vec<PathBuf>,
    /// What goes through the kernel's own style checker.
    kernel: Vec<PathBuf>,
    /// Shell scripts.
    shell: Vec<PathBuf>,
}

impl Files {
    fn of(project: &Project) -> Result<Self> {
        let mut files = Self {
            kernel_rust: vec![],
            kernel: vec![],
            shell: vec![],
        };
        let top = project.root();
        let all = walkdir::WalkDir::new(top).sort_by_file_name().into_iter();
        let hidden = |path: &Path| path == top.join("build") || path == top.join(".git");
        for entry in all.filter_entry(|entry| !hidden(entry.path())) {
            let entry = entry?;
            if !entry.file_type().is_file() {
                continue;
            }
            let path = entry.into_path();
            let relative = path.strip_prefix(top)?;
            let is_kernel = relative.starts_with("rust") || relative.starts_with("samples");
            let extension = path.extension().unwrap_or_default();
            if is_kernel && extension == "rs" {
                files.kernel_rust.push(path.clone());
            }
            if is_kernel && ["rs", "c", "h"].iter().any(|known| extension == *known) {
                files.kernel.push(path);
            } else if is_shell(&path) {
                files.shell.push(path);
            }
        }
        files.kernel.push(top.join("Kbuild"));
        Ok(files)
    }
}

/// Whether the file begins with the name of a shell.
fn is_shell(path: &Path) -> bool {
    let begin = std::fs::read(path).unwrap_or_default();
    let first = begin
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    first.starts_with("#!") && (first.ends_with("/sh") || first.ends_with("bash"))
}

fn rustfmt(log: &mut Log, project: &Project, files: &Files) -> Result<()> {
    log.run(
        Command::new("cargo")
            .current_dir(project.root())
            .args(["fmt", "--all", "--check"]),
    )?;
    let mut rustfmt = Command::new("rustfmt");
    rustfmt
        .current_dir(project.root())
        .args(["--check", "--edition", "2021"]);
    log.run(rustfmt.args(&files.kernel_rust))
}

fn clippy(log: &mut Log, project: &Project) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(project.root())
        .args(["clippy", "--workspace", "--all-targets"]);
    log.run(cargo.args(TARGET).args(["--", "--deny", "warnings"]))
}

fn kernel_clippy(log: &mut Log, project: &Project, ready: &Ready) -> Result<()> {
    let out = project.build("modules/clippy");
    // Objects that are up to date are not looked at again, so nothing may be left of the last time.
    if out.exists() {
        std::fs::remove_dir_all(&out)?;
    }
    std::fs::create_dir_all(&out)?;
    let mut make = Command::new("make");
    make.arg("-C")
        .arg(&ready.kdir)
        .arg(format!("M={}", project.root().display()));
    make.arg(format!("MO={}", out.display())).args([
        "CLIPPY=1",
        "KRUSTFLAGS=-Dwarnings",
        "modules",
    ]);
    log.run(&mut make)
}

fn checkpatch(log: &mut Log, project: &Project, files: &Files, ready: &Ready) -> Result<()> {
    let script = ready.source.join("scripts/checkpatch.pl");
    let mut perl = Command::new("perl");
    perl.current_dir(project.root()).arg(script);
    perl.args([
        "--no-tree",
        "--terse",
        "--show-types",
        "--no-summary",
        "--quiet",
        "--file",
    ]);
    log.run(perl.args(&files.kernel))
}

fn shellcheck(log: &mut Log, project: &Project, files: &Files) -> Result<()> {
    log.run(
        Command::new("shellcheck")
            .current_dir(project.root())
            .args(&files.shell),
    )
}

fn userspace_doc(log: &mut Log, project: &Project) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(project.root())
        .env("RUSTDOCFLAGS", "--deny warnings");
    cargo
        .args([
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ])
        .args(TARGET);
    log.run(&mut cargo).context("a broken link is an error")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_are_sorted_by_their_checks() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["rust/helpers", "tools", "build"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for (name, text) in [
            ("rust/lib.rs", ""),
            ("rust/helpers/fs.c", ""),
            ("tools/lab", "#!/bin/sh\n"),
            ("tools/main.rs", ""),
            ("tools/x.py", "#!/usr/bin/python3\n"),
            ("build/made.sh", "#!/bin/sh\n"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let files = Files::of(&Project::at(dir.path())).unwrap();
        let at = |name: &str| dir.path().join(name);
        assert_eq!(files.kernel_rust, [at("rust/lib.rs")]);
        assert_eq!(
            files.kernel,
            [at("rust/helpers/fs.c"), at("rust/lib.rs"), at("Kbuild")]
        );
        assert_eq!(files.shell, [at("tools/lab")]);
    }
}
