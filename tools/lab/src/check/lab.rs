// SPDX-License-Identifier: GPL-2.0
//! The inputs of checks: the hand-written files, the kernel, and a way to run programs.

use super::Found;
use crate::build::{self, Stock};
use crate::project::Project;
use crate::steps::Steps;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use walkdir::{DirEntry, WalkDir};

/// Folders at the top that contain build results.
const MADE_FOLDERS: &[&str] = &[".git", "build", "target"];
/// Names of Kbuild's results if it builds in the checkout itself.
const MADE: &[&str] = &[".o", ".ko", ".mod", ".mod.c", ".cmd", ".rmeta", ".d"];

/// A file of the checkout.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Relative to the checkout.
    pub path: PathBuf,
    /// Its text; empty for a file that is not UTF-8.
    pub text: String,
}

impl SourceFile {
    /// Returns whether the name ends in `.extension`.
    pub fn is(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|own| own == extension)
    }

    /// Returns whether the file lies in or below the folder `folder`, or is it.
    pub fn below(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// Returns its name without folders.
    pub fn name(&self) -> &str {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default()
    }

    /// Returns whether it is a shell script.
    pub fn is_shell(&self) -> bool {
        let first = self.text.lines().next().unwrap_or_default();
        first.starts_with("#!") && (first.ends_with("/sh") || first.ends_with("bash"))
    }

    /// Returns whether it is part of the kernel's build: a description for make, or C.
    pub fn is_kbuild_or_c(&self) -> bool {
        self.is("c") || self.is("h") || ["Kbuild", "Makefile"].contains(&self.name())
    }

    /// Returns a complaint for each line to which `find` has one.
    pub fn complaints(&self, find: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let lines = self.text.lines().enumerate();
        let found = lines.filter_map(|(at, line)| Some((at + 1, find(line)?)));
        let path = self.path.display();
        found
            .map(|(line, what)| format!("{path}:{line}: {what}"))
            .collect()
    }
}

/// Returns all files of the checkout in `root`, sorted.
fn files_in(root: &Path) -> Result<Vec<SourceFile>> {
    let made = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        match entry.file_type().is_dir() {
            true => entry.depth() == 1 && MADE_FOLDERS.contains(&&*name),
            false => MADE.iter().any(|end| name.ends_with(end)),
        }
    };
    let mut files = Vec::new();
    let entries = WalkDir::new(root).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| !made(entry)) {
        let entry = entry?;
        if entry.file_type().is_file() {
            let bytes = fs::read(entry.path())
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            files.push(SourceFile {
                path: entry.path().strip_prefix(root)?.to_owned(),
                text: String::from_utf8(bytes).unwrap_or_default(),
            });
        }
    }
    Ok(files)
}

/// The surroundings of a check.
pub struct Lab<'a> {
    /// The checkout.
    pub project: &'a Project,
    /// All hand-written files of the checkout.
    pub files: Vec<SourceFile>,
    /// The right to build.
    pub steps: &'a Steps,
    kernel: Option<Stock>,
}

impl<'a> Lab<'a> {
    /// Reads the checkout.
    pub fn new(project: &'a Project, steps: &'a Steps) -> Result<Self> {
        fs::create_dir_all(project.build("check"))?;
        Ok(Self {
            project,
            files: files_in(project.root())?,
            steps,
            kernel: None,
        })
    }

    /// Gets the stock kernel's source and makes its build folder, once.
    pub fn prepare_kernel(&mut self) -> Result<()> {
        if self.kernel.is_none() {
            self.kernel = Some(build::stock(self.project, self.steps)?);
        }
        Ok(())
    }

    /// Returns the stock kernel.
    pub fn kernel(&self) -> Result<&Stock> {
        let kernel = self.kernel.as_ref();
        kernel.context("this check is not listed as one that needs the kernel")
    }

    /// Runs `command` in the checkout, with a log for the check `name` in `build/check`. Returns
    /// whether it succeeded, and its output.
    pub fn capture(&self, name: &str, command: &mut Command) -> Result<(bool, String)> {
        let log = self.project.build(format!("check/{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let status = command
            .current_dir(self.project.root())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .status()
            .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        Ok((status.success(), text))
    }

    /// Runs this command as a check: if it fails, its output is the complaint.
    pub fn run(&self, name: &str, command: &mut Command) -> Result<Found> {
        Ok(match self.capture(name, command)? {
            (true, _) => Found::nothing(),
            (false, text) => Found::Complaints(vec![text]),
        })
    }

    /// Returns the files for which `wanted` returns true.
    pub fn those(&self, wanted: impl Fn(&SourceFile) -> bool) -> Vec<&SourceFile> {
        self.files.iter().filter(|file| wanted(file)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["build/a", "b/build/c", "b/d.o", "b/.d.o.cmd", "b/d.c", "e"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "#!/bin/sh\n").unwrap();
        }
        let files = files_in(dir.path()).unwrap();
        let names: Vec<_> = files
            .iter()
            .map(|file| file.path.to_str().unwrap())
            .collect();
        assert_eq!(names, ["b/build/c", "b/d.c", "e"]);
        assert!(files.iter().all(SourceFile::is_shell));
        assert!(files[0].below("b") && !files[2].below("b"));
    }
}
