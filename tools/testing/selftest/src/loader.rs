// SPDX-License-Identifier: GPL-2.0

//! Loads and unloads the module.

use crate::outcome::errno;
use rmmap_sys::{module, Errno, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Name of the module.
pub const NAME: &str = "rmmap";

/// The folio policy under which a touch adds one page, so that tests can count pages. Tests of
/// other policies set those themselves.
const ONE_PAGE: &str = "policy=0";

/// A shell command to run before the module is unloaded for another one: the module's own counters
/// are lost with it.
pub const BEFORE_UNLOAD: &str = "RMMAP_BEFORE_UNLOAD";

/// The module's file and the user's parameters.
#[derive(Clone, Debug)]
pub struct Loader {
    name: String,
    file: PathBuf,
    /// The file's contents: it may be on a slow shared folder, and is loaded often.
    image: Vec<u8>,
    parameters: Vec<String>,
}

impl Loader {
    /// Creates a loader of this file, with these parameters (`name=value`) where a test sets none.
    ///
    /// # Errors
    ///
    /// A message that says why the file cannot be read.
    pub fn new(file: &Path, parameters: &[String]) -> std::result::Result<Self, String> {
        Self::named(NAME, file, merge(&[ONE_PAGE.to_owned()], parameters))
    }

    fn named(
        name: &str,
        file: &Path,
        parameters: Vec<String>,
    ) -> std::result::Result<Self, String> {
        let why = |e| format!("cannot read the module {}: {e}", file.display());
        Ok(Self {
            name: name.to_owned(),
            file: file.to_owned(),
            image: std::fs::read(file).map_err(why)?,
            parameters,
        })
    }

    /// Loads the module with the user's parameters.
    pub fn load(&self) -> Result<()> {
        self.load_with(&[])
    }

    /// Loads the module with some parameters changed.
    pub fn load_with(&self, changed: &[&str]) -> Result<()> {
        module::load_image(&self.image, &merge(&self.parameters, changed).join(" "))
    }

    /// Returns the loader of another module of the project, whose file is in the same folder.
    ///
    /// # Errors
    ///
    /// A message that says why the file cannot be read.
    pub fn sibling(&self, name: &str) -> std::result::Result<Self, String> {
        let file = self.file.with_file_name(format!("{name}.ko"));
        Self::named(name, &file, Vec::new())
    }

    /// Loads the module without any parameter.
    pub fn load_plain(&self) -> Result<()> {
        module::load_image(&self.image, "")
    }

    /// Unloads the module, if it is loaded.
    ///
    /// Retries for a moment: a process that held the last reference may just have ended.
    pub fn unload(&self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match module::unload(&self.name) {
                Err(Errno::NOENT) => return Ok(()),
                Err(Errno::WOULDBLOCK) if Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                result => return result,
            }
        }
    }

    /// Unloads the module and loads it with some parameters changed.
    pub fn reload_with(&self, changed: &[&str]) -> Result<()> {
        self.show();
        self.unload()?;
        self.load_with(changed)
    }

    /// Runs the command of [`BEFORE_UNLOAD`]. The caller that set it notices its failure.
    fn show(&self) {
        if let Some(command) = std::env::var_os(BEFORE_UNLOAD).filter(|_| self.name == NAME) {
            let _ = Command::new("sh").arg("-c").arg(command).status();
        }
    }

    /// Reloads the module with the user's parameters, in whatever state a test left it.
    pub fn restore(&self) -> std::result::Result<(), String> {
        let cannot = |verb, what: &str, e| {
            let remedy = module::remedy(e);
            format!("cannot {verb} {what}: {}{remedy}", errno(e))
        };
        self.show();
        self.unload()
            .map_err(|e| cannot("unload the module", &self.name, e))?;
        let file = self.file.display().to_string();
        self.load().map_err(|e| cannot("load", &file, e))
    }
}

/// Returns the parameters with some of them changed or added.
fn merge(parameters: &[String], changed: &[impl AsRef<str>]) -> Vec<String> {
    let name = |p: &str| p.split('=').next().unwrap_or_default().to_owned();
    let is_kept = |p: &&String| changed.iter().all(|c| name(c.as_ref()) != name(p));
    let kept = parameters.iter().filter(is_kept).map(String::as_str);
    kept.chain(changed.iter().map(AsRef::as_ref))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_a_test_replace_those_of_the_user() {
        let user = ["prepare=1".to_owned(), "max_bytes=9".to_owned()];
        assert_eq!(merge(&user, &[""; 0]), user);
        assert_eq!(
            merge(&user, &["max_bytes=4", "capacity=8"]).join(" "),
            "prepare=1 max_bytes=4 capacity=8"
        );
    }
}
