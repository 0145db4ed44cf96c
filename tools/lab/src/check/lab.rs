// SPDX-License-Identifier: GPL-2.0
//! What checks work with: the files, the kernel, and a way to run programs.

use super::files::{self, SourceFile};
use super::verdict::Verdict;
use crate::build::{self, Stock};
use crate::project::Project;
use crate::steps::Steps;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::process::{Command, Stdio};

/// The surroundings of a check.
pub struct Lab<'a> {
    /// The checkout.
    pub project: &'a Project,
    /// All files of the checkout that people wrote.
    pub files: Vec<SourceFile>,
    /// The right to build.
    pub steps: &'a Steps,
    kernel: Option<Stock>,
}

/// What a program printed, and whether it was content.
pub struct Captured {
    /// Whether it exited with 0.
    pub success: bool,
    /// Standard output and standard error as they came.
    pub text: String,
}

impl Captured {
    /// Failed, with all that was printed, when the program was not content.
    pub fn verdict(self) -> Verdict {
        if self.success {
            Verdict::Passed
        } else {
            Verdict::Failed(self.text)
        }
    }
}

impl<'a> Lab<'a> {
    /// Reads the checkout.
    pub fn new(project: &'a Project, steps: &'a Steps) -> Result<Self> {
        fs::create_dir_all(project.build("check"))?;
        Ok(Self {
            project,
            files: files::all(project.root())?,
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

    /// The stock kernel.
    pub fn kernel(&self) -> Result<&Stock> {
        let kernel = self.kernel.as_ref();
        kernel.context("this check is not listed as one that needs the kernel")
    }

    /// Runs `command` in the checkout; the check `name` has a log of it in `build/check`.
    pub fn capture(&self, name: &str, command: &mut Command) -> Result<Captured> {
        let log = self.project.build(format!("check/{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let status = command
            .current_dir(self.project.root())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .status()
            .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
        Ok(Captured {
            success: status.success(),
            text: String::from_utf8_lossy(&fs::read(&log)?).into_owned(),
        })
    }

    /// The files that `wanted` says yes to.
    pub fn those(&self, wanted: impl Fn(&SourceFile) -> bool) -> Vec<&SourceFile> {
        self.files.iter().filter(|file| wanted(file)).collect()
    }
}
