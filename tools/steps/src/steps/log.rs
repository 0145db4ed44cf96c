// SPDX-License-Identifier: GPL-2.0
//! The log of a step, with the output of its commands; its end is shown if one fails.

use anyhow::{bail, Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The number of lines of the log that a failure shows.
const TAIL: usize = 12;

/// The log of one step.
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Creates an empty log in the file `path`.
    pub fn create(path: PathBuf) -> Result<Self> {
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, file })
    }

    /// Runs `command` to its end; an error shows the end of the log.
    pub fn run(&mut self, command: &mut Command) -> Result<()> {
        writeln!(self.file, "+ {command:?}")?;
        let program = command.get_program().to_string_lossy().into_owned();
        let status = command
            .stdin(Stdio::null())
            .stdout(self.file.try_clone()?)
            .stderr(self.file.try_clone()?)
            .status()
            .with_context(|| format!("cannot run {program}"))?;
        if !status.success() {
            bail!(
                "{program}: {status}, see {}:\n{}",
                self.path.display(),
                self.tail()
            );
        }
        Ok(())
    }

    /// Runs `command` and returns its standard output.
    pub fn output(&mut self, command: &mut Command) -> Result<String> {
        writeln!(self.file, "+ {command:?}")?;
        let program = command.get_program().to_string_lossy().into_owned();
        let output = command
            .stdin(Stdio::null())
            .stderr(self.file.try_clone()?)
            .output()
            .with_context(|| format!("cannot run {program}"))?;
        if !output.status.success() {
            bail!(
                "{program}: {}, see {}:\n{}",
                output.status,
                self.path.display(),
                self.tail()
            );
        }
        String::from_utf8(output.stdout).with_context(|| format!("{program} prints no UTF-8"))
    }

    /// Returns all output of the commands so far.
    pub fn text(&self) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("+ "))
            .collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_program_log_and_reason() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::create(dir.path().join("x.log")).unwrap();
        log.run(&mut Command::new("true")).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo the reason >&2; exit 3"]);
        let error = log.run(&mut command).unwrap_err().to_string();
        assert!(
            error.contains("exit status: 3") && error.contains("x.log"),
            "{error}"
        );
        assert!(error.ends_with("the reason"), "{error}");
    }
}
