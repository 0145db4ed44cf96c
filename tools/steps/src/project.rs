// SPDX-License-Identifier: GPL-2.0
//! The checkout, and the folders that the lab makes below `build/`.

use anyhow::{bail, Context, Result};
use rmmap_matrix::kernels::arm64_page_size;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns what KERNEL says, if anything.
pub fn wanted() -> Option<String> {
    std::env::var("KERNEL").ok().filter(|word| !word.is_empty())
}

/// Returns the size of a page of the arm64 kernel that KERNEL names, if it names one.
pub fn arm64() -> Option<u32> {
    wanted().and_then(|version| arm64_page_size(&version))
}

/// The checkout the lab works for.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// Finds the checkout that the current folder is in.
    pub fn find() -> Result<Self> {
        let here = std::env::current_dir().context("cannot find the current folder")?;
        match here
            .ancestors()
            .find(|dir| dir.join("tools/lab/Cargo.toml").exists())
        {
            Some(root) => Ok(Self::at(root)),
            None => bail!(
                "{} is not in a checkout of rmmap: run `make` in one",
                here.display()
            ),
        }
    }

    /// Makes the project of the checkout in `root`.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Returns the checkout's top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads the TOML file `name` (relative to the checkout).
    pub fn toml<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let text = fs::read_to_string(self.root.join(name));
        let text = text.with_context(|| format!("cannot read {name}"))?;
        toml::from_str(&text).with_context(|| format!("cannot understand {name}"))
    }

    /// Returns the folder `name` (a relative path) below `build/`; it need not exist.
    pub fn build(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join("build").join(name)
    }

    /// Returns a userspace program of this project, as a static binary that runs in any guest.
    pub fn program(&self, name: &str) -> PathBuf {
        self.build("cargo/x86_64-unknown-linux-gnu/release")
            .join(name)
    }

    /// Returns a userspace program that runs in guests of the kernel that KERNEL names.
    pub fn guest_program(&self, name: &str) -> PathBuf {
        match arm64() {
            None => self.program(name),
            Some(size) => self
                .build(format!(
                    "arm64/cargo-{size}/aarch64-unknown-linux-gnu/release"
                ))
                .join(name),
        }
    }

    /// Returns the module that was built for the kernel `kernel` (`stock` or `debug`).
    pub fn module(&self, kernel: &str) -> PathBuf {
        self.build("modules").join(kernel).join("rmmap.ko")
    }
}
