// SPDX-License-Identifier: GPL-2.0
//! Documentation of the kernel's crates: rustdoc with the words that Kbuild called rustc with.
//!
//! Kbuild documents the tree's own crates only. But it records, beside each object, the command that
//! made it, and rustdoc takes the same flags.

use crate::project::Project;
use crate::steps::Log;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use walkdir::WalkDir;

/// The folder that the documentation goes to.
pub fn folder(project: &Project) -> PathBuf {
    project.build("doc/kernel")
}

/// Documents every crate of the stock kernel's modules. A broken link is an error.
pub fn build(log: &mut Log, project: &Project) -> Result<()> {
    let modules = project.build("modules/stock");
    let out = folder(project);
    fs::create_dir_all(&out)?;
    for entry in WalkDir::new(&modules).sort_by_file_name() {
        let path = entry?.into_path();
        if path.extension().is_some_and(|extension| extension == "cmd") {
            if let Some(words) = rustdoc_words(&fs::read_to_string(&path)?, &out) {
                let mut rustdoc = Command::new("rustdoc");
                // Kbuild's own way to the unstable features that the kernel uses.
                rustdoc
                    .current_dir(&modules)
                    .env("RUSTC_BOOTSTRAP", "1")
                    .args(words);
                log.run(&mut rustdoc)
                    .with_context(|| format!("from {}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// The arguments for rustdoc that follow from one of Kbuild's `.cmd` files, if it is of a crate.
fn rustdoc_words(text: &str, out: &Path) -> Option<Vec<String>> {
    let saved = text.lines().find(|line| line.starts_with("savedcmd_"))?;
    let (_, command) = saved.split_once(" := ")?;
    let mut words = shlex::split(command)?
        .into_iter()
        .skip_while(|word| word != "rustc")
        .skip(1);
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            // What shapes object files.
            "--crate-type" | "--out-dir" => drop(words.next()),
            word if word.starts_with("--emit=") => {}
            _ => kept.push(word),
        }
    }
    if kept.is_empty() {
        return None;
    }
    kept.push(format!("--out-dir={}", out.display()));
    kept.extend(
        [
            "-Drustdoc::broken_intra_doc_links",
            "-Drustdoc::private_intra_doc_links",
        ]
        .map(String::from),
    );
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stay_and_outputs_go() {
        let text =
            "savedcmd_rust/x.o := OBJTREE=/k rustc --edition=2021 -Zcrate-attr='feature(a,b)' \
                    --crate-type rlib -L /k/rust --out-dir rust/ --emit=obj=rust/x.o /p/x.rs\n\
                    source_rust/x.o := /p/x.rs\n";
        let words = rustdoc_words(text, Path::new("/doc")).unwrap();
        assert_eq!(
            words[..5],
            [
                "--edition=2021",
                "-Zcrate-attr=feature(a,b)",
                "-L",
                "/k/rust",
                "/p/x.rs"
            ]
        );
        assert!(words.contains(&"--out-dir=/doc".to_owned()));
    }

    #[test]
    fn other_commands_are_left_out() {
        assert_eq!(
            rustdoc_words("savedcmd_x.o := gcc -c x.c\n", Path::new("/doc")),
            None
        );
    }
}
