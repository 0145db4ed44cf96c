// SPDX-License-Identifier: GPL-2.0
//! Documentation of the kernel's crates: rustdoc with the arguments that Kbuild passed to rustc.
//!
//! Kbuild documents the tree's own crates only. But it records, next to each object, the command
//! that made it, and rustdoc takes the same flags.

use super::{folder, srctree};
use crate::build::{self, Stock};
use crate::project::Project;
use crate::steps::{Log, Steps};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;
use walkdir::WalkDir;

/// The address of the documentation of the `kernel` crate.
const KERNEL_CRATE: &str = "kernel=https://rust.docs.kernel.org/";

/// Documents every crate of the stock kernel's modules. A broken link is an error.
pub fn build(log: &mut Log, project: &Project, steps: &Steps, stock: &Stock) -> Result<()> {
    let module = build::module(project, steps, &stock.label, &stock.kdir)?;
    let modules = module.parent().context("the module has no folder")?;
    let out = folder(project, "kernel");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    let mut crates = Vec::new();
    for entry in WalkDir::new(modules).sort_by_file_name() {
        let path = entry?.into_path();
        if path.extension().is_some_and(|extension| extension == "cmd") {
            crates.extend(Crate::of(&fs::read_to_string(&path)?));
        }
    }
    // A crate links to another only if that is already documented.
    crates.sort_by_key(|a_crate| !a_crate.library);
    for a_crate in crates {
        let mut rustdoc = Command::new("rustdoc");
        // This is how Kbuild enables the unstable features that the kernel uses.
        rustdoc.current_dir(modules).env("RUSTC_BOOTSTRAP", "1");
        rustdoc.envs(a_crate.variables.iter().cloned());
        log.run(rustdoc.args(a_crate.words(&out)))
            .context("rustdoc warns about the modules")?;
    }
    srctree::resolve(&out, &stock.source)
}

/// A crate that Kbuild has compiled.
#[derive(Debug, PartialEq, Eq)]
struct Crate {
    /// Whether others use it: then only its public items are documented, otherwise all.
    library: bool,
    /// Variables that the kernel's macros read.
    variables: Vec<(String, String)>,
    /// Its compiler flags, without those that only affect object files.
    flags: Vec<String>,
}

impl Crate {
    /// Reads one of Kbuild's `.cmd` files; returns `None` for the many that are not of a crate.
    fn of(text: &str) -> Option<Self> {
        let mut words = shlex::split(build::saved_command(text)?)?.into_iter();
        let mut variables = Vec::new();
        let program = loop {
            let word = words.next()?;
            match word.split_once('=') {
                Some((name, value)) => variables.push((name.to_owned(), value.to_owned())),
                None => break word,
            }
        };
        if program != "rustc" {
            return None;
        }
        let mut library = false;
        let mut flags = Vec::new();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--crate-type" | "--out-dir" => drop(words.next()),
                word if word.starts_with("--emit=") => {
                    library |= word.starts_with("--emit=metadata");
                }
                _ => flags.push(word),
            }
        }
        Some(Self {
            library,
            variables,
            flags,
        })
    }

    /// Returns the arguments of rustdoc.
    fn words(&self, out: &Path) -> Vec<String> {
        let mut words = self.flags.clone();
        words.push(format!("--out-dir={}", out.display()));
        words.push(format!("--extern-html-root-url={KERNEL_CRATE}"));
        words.push("-Dwarnings".to_owned());
        if !self.library {
            words.push("--document-private-items".to_owned());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARY: &str =
        "savedcmd_rust/x.o := OBJTREE=/k rustc --edition=2021 -Zcrate-attr='feature(a,b)' \
         --emit=metadata=rust/libx.rmeta --crate-type rlib -L /k/rust --out-dir rust/ \
         --emit=obj=rust/x.o /p/x.rs\n\
         source_rust/x.o := /p/x.rs\n";

    #[test]
    fn flags_stay_and_outputs_go() {
        let library = Crate::of(LIBRARY).unwrap();
        let flags = [
            "--edition=2021",
            "-Zcrate-attr=feature(a,b)",
            "-L",
            "/k/rust",
            "/p/x.rs",
        ];
        assert_eq!(library.flags, flags);
        assert_eq!(library.variables, [("OBJTREE".to_owned(), "/k".to_owned())]);
        let words = library.words(Path::new("/doc"));
        assert!(words.contains(&"--out-dir=/doc".to_owned()));
    }

    #[test]
    fn private_items_are_documented_where_nothing_is_public() {
        let private = "--document-private-items".to_owned();
        let module = Crate::of(&LIBRARY.replace("--emit=metadata", "--emit=obj")).unwrap();
        assert!(module.words(Path::new("/doc")).contains(&private));
        let library = Crate::of(LIBRARY).unwrap();
        assert!(!library.words(Path::new("/doc")).contains(&private));
    }

    #[test]
    fn other_commands_are_left_out() {
        assert_eq!(Crate::of("savedcmd_x.o := gcc -c x.c\n"), None);
    }
}
